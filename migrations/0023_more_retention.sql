-- Tables of schedules that grow; see 0014_storage_policies.sql.
INSERT INTO storage_policies (table_name, retention_days) VALUES ('schedule_firings', 400), ('capture_gaps', 400);
