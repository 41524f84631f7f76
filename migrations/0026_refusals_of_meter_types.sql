-- What meters refuse is remembered service by service, and rows of a profile can also be chosen by their place.

ALTER TABLE meter_type_quirks DROP CONSTRAINT meter_type_quirks_quirk_check;
UPDATE meter_type_quirks SET quirk = 'get_list_refused' WHERE quirk = 'with_list_refused';
-- These two were never learned: how rows are chosen is known for each profile of a model.
DELETE FROM meter_type_quirks WHERE quirk IN ('range_refused', 'entry_refused');
ALTER TABLE meter_type_quirks ADD CONSTRAINT meter_type_quirks_quirk_check
  CHECK (quirk IN ('get_list_refused', 'set_list_refused', 'action_list_refused', 'access_refused'));

ALTER TABLE model_profiles DROP CONSTRAINT model_profiles_selection_check;
-- By range of time; by entry, where the meter refuses that; the whole buffer, where it refuses both.
ALTER TABLE model_profiles ADD CONSTRAINT model_profiles_selection_check CHECK (selection IN ('range', 'entry', 'whole'));
