-- The roles and the database of AgentAPI. Run once by a superuser, with psql:
--
--   AGENTAPI_OWNER_PASSWORD=… AGENTAPI_GATEWAY_PASSWORD=… \
--     psql -v ON_ERROR_STOP=1 -f migrations/bootstrap.sql
--
-- Running it again changes nothing but the two passwords. The schema itself
-- comes from `agentapi migrate`, connected as agentapi_owner.

\getenv owner_password AGENTAPI_OWNER_PASSWORD
\getenv gateway_password AGENTAPI_GATEWAY_PASSWORD
\if :{?owner_password}
\else
\warn 'AGENTAPI_OWNER_PASSWORD is not set'
SELECT 1/0 AS "set AGENTAPI_OWNER_PASSWORD and run again";
\endif
\if :{?gateway_password}
\else
\warn 'AGENTAPI_GATEWAY_PASSWORD is not set'
SELECT 1/0 AS "set AGENTAPI_GATEWAY_PASSWORD and run again";
\endif

-- agentapi_owner owns the database and its schema and runs the migrations.
-- The gateway never connects as this role.
SELECT 'CREATE ROLE agentapi_owner'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentapi_owner') \gexec
ALTER ROLE agentapi_owner
  LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD :'owner_password';

-- agentapi_gateway is what the gateway connects as: row-level security binds
-- it, and it inherits nothing, so that a right of the worker is taken up only
-- by an explicit SET ROLE.
SELECT 'CREATE ROLE agentapi_gateway'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentapi_gateway') \gexec
ALTER ROLE agentapi_gateway
  LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOINHERIT PASSWORD :'gateway_password';

-- agentapi_worker does the jobs that cross tenants (sweeping, retention, …),
-- each under a narrow policy of its own. Nobody logs in as it.
SELECT 'CREATE ROLE agentapi_worker'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentapi_worker') \gexec
ALTER ROLE agentapi_worker
  NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
GRANT agentapi_worker TO agentapi_gateway;

SELECT 'CREATE DATABASE agentapi OWNER agentapi_owner'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'agentapi') \gexec
-- Nobody else of this server may connect.
REVOKE ALL ON DATABASE agentapi FROM PUBLIC;
GRANT CONNECT ON DATABASE agentapi TO agentapi_gateway;
