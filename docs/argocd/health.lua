-- Health of an Organization, McpServer or PromptPolicy for Argo CD, by its
-- conditions (kstatus). One script serves all three kinds; docs/OPERATIONS.md
-- says where it goes.
local health = {status = "Progressing", message = "the operator has not looked at it yet"}

local conditions = {}
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    conditions[condition.type] = condition
  end
end

local function holds(name)
  return conditions[name] ~= nil and conditions[name].status == "True"
end

local function is(status, condition)
  health.status = status
  health.message = condition.message
  return health
end

if obj.metadata.deletionTimestamp ~= nil then
  if holds("DeletionBlocked") then
    return is("Progressing", conditions["DeletionBlocked"])
  end
  health.message = "it is being deleted"
  return health
end

-- A paused resource does not observe further generations.
if holds("Reconciling") and conditions["Reconciling"].reason == "Paused" then
  return is("Suspended", conditions["Reconciling"])
end

local ready = conditions["Ready"]
if ready == nil then
  return health
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  health.message = "the operator has not seen the latest change yet"
  return health
end
if holds("Stalled") then
  return is("Degraded", conditions["Stalled"])
end
if holds("Reconciling") then
  return is("Progressing", conditions["Reconciling"])
end
if ready.status == "True" then
  return is("Healthy", ready)
end
if ready.reason == "Suspended" or ready.reason == "Disabled" then
  return is("Suspended", ready)
end
return is("Progressing", ready)
