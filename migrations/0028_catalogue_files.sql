-- A digest of the files that a catalogue was read from: as long as it is the same, they need not be read and compared again at each start.
ALTER TABLE catalogue_seeds ADD COLUMN files text;
