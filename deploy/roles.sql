-- What a process that serves may do to the database, and no more. Who owns the tables may disable their triggers; a login with these
-- rights alone cannot, and so neither change nor remove what the audit and the events say.
--
-- Run it as the owner after every `orderly migrate`, since a new table has no rights yet:
--   psql "$OWNER_URL" --set ON_ERROR_STOP=1 --file deploy/roles.sql
--   psql "$OWNER_URL" --command "create role orderly_login login password '…' in role orderly_serving"     -- once
-- Then `migrate` keeps the owner's URL, and every role, `topology` and `keys` get the login's.

do $$
begin
    create role orderly_serving nologin;
exception
    -- It is there, or another session has just made it: roles belong to the server, not to one database.
    when duplicate_object or unique_violation then null;
end
$$;

grant usage on schema public to orderly_serving;
grant select, insert, update, delete on all tables in schema public to orderly_serving;
revoke update, delete on audit, events from orderly_serving;
revoke insert, update, delete on _sqlx_migrations from orderly_serving;
