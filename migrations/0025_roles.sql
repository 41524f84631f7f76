-- Partitions are made and dropped by the daemon, and its role owns no table where roles are used (docs/operating/security.md). It asks for
-- them here: as wide as it likes, of tables that are partitioned already, and gone only when they are past their retention.
CREATE FUNCTION make_partition(parent regclass, starts timestamptz, ends timestamptz) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  home name;
  child text;
BEGIN
  SELECT n.nspname, c.relname || '_' || to_char(starts AT TIME ZONE 'UTC', 'YYYYMMDD') INTO home, child
    FROM pg_partitioned_table t JOIN pg_class c ON c.oid = t.partrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace JOIN storage_policies p ON p.table_name = c.relname
   WHERE c.oid = parent;
  IF NOT FOUND THEN
    RAISE EXCEPTION '% has no partitions that the head-end makes', parent USING ERRCODE = 'insufficient_privilege';
  END IF;
  -- LIKE and ATTACH let writers go on; CREATE … PARTITION OF would lock them out.
  EXECUTE format('CREATE TABLE %I.%I (LIKE %s INCLUDING ALL)', home, child, parent);
  EXECUTE format('ALTER TABLE %s ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)', parent, home, child, starts, ends);
END
$$;

CREATE FUNCTION drop_partition(parent regclass, starts timestamptz) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  child regclass;
  ends timestamptz;
  expired boolean;
BEGIN
  SELECT i.inhrelid, substring(pg_get_expr(k.relpartbound, k.oid) FROM 'TO \(''([^'']+)''\)')::timestamptz INTO child, ends
    FROM pg_inherits i JOIN pg_class k ON k.oid = i.inhrelid
   WHERE i.inhparent = parent
     AND substring(pg_get_expr(k.relpartbound, k.oid) FROM 'FROM \(''([^'']+)''\)')::timestamptz = starts;
  IF NOT FOUND THEN
    -- Another daemon was faster.
    RETURN;
  END IF;
  SELECT ends <= p.dropped_before INTO expired FROM storage_policies p WHERE p.table_name = (SELECT relname FROM pg_class WHERE oid = parent);
  IF expired IS NOT TRUE THEN
    RAISE EXCEPTION '% is not past its retention', child USING ERRCODE = 'insufficient_privilege';
  END IF;
  EXECUTE format('DROP TABLE %s', child);
END
$$;

-- storage_policies is this schema's, whatever temporary table the caller has made.
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION make_partition(regclass, timestamptz, timestamptz) SET search_path = pg_catalog, %I, pg_temp', current_schema());
  EXECUTE format('ALTER FUNCTION drop_partition(regclass, timestamptz) SET search_path = pg_catalog, %I, pg_temp', current_schema());
END
$$;

REVOKE EXECUTE ON FUNCTION make_partition(regclass, timestamptz, timestamptz) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION drop_partition(regclass, timestamptz) FROM PUBLIC;
