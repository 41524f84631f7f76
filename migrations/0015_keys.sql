-- What equal keys are recognised by without opening them: HMAC-SHA-256, cut to 16 octets, under a key that is derived from the
-- key-encryption key. Null: stored before there was one; `hes keys rekey` fills it.
ALTER TABLE meter_keys ADD COLUMN mac bytea CHECK (octet_length(mac) = 16);

CREATE INDEX meter_keys_mac ON meter_keys (mac);

-- One rotation of a key at a time: until its outcome is known, the meter may have either.
CREATE UNIQUE INDEX meter_keys_one_new ON meter_keys (meter_id, kind, coalesce(client_sap, -1)) WHERE state = 'NEW';
