-- What was done to meters, and its steps; see 0014_storage_policies.sql.
INSERT INTO storage_policies (table_name, retention_days) VALUES ('meter_commands', 400);
