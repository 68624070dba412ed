-- Holds off neither readers nor writers of outcomes, unlike the migration before.
alter table commands validate constraint commands_applied_has_version;
