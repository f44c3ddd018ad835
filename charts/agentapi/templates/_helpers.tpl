{{/* Labels of every object of the chart. Argument: the chart's root context. */}}
{{- define "agentapi.labels" -}}
app.kubernetes.io/part-of: agentapi
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "agentapi.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* What Pod Security's level "restricted" asks for, and a read-only root. */}}
{{- define "agentapi.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "agentapi.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{/* Probes of the port that serves /live and /ready. */}}
{{- define "agentapi.probes" -}}
livenessProbe:
  httpGet: { path: /live, port: admin }
  periodSeconds: 10
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /ready, port: admin }
  periodSeconds: 5
{{- end }}
