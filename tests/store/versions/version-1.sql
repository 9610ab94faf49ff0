-- A database as version 1 left it.
PRAGMA application_id = 1165190002;
PRAGMA user_version = 1;
CREATE TABLE recordings (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  path BLOB NOT NULL,
  bytes INTEGER NOT NULL,
  duration_s REAL NOT NULL,
  width_px INTEGER NOT NULL,
  height_px INTEGER NOT NULL,
  codec TEXT NOT NULL,
  captured_at TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('known', 'sampled', 'described', 'segmented', 'summarised')),
  sampling_key TEXT NOT NULL DEFAULT '',
  description_key TEXT NOT NULL DEFAULT '',
  segments_key TEXT NOT NULL DEFAULT '',
  added_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  warnings TEXT NOT NULL DEFAULT '[]'
) STRICT;
CREATE TABLE frames (
  number INTEGER PRIMARY KEY,
  recording INTEGER NOT NULL REFERENCES recordings ON DELETE CASCADE,
  position INTEGER NOT NULL,
  timestamp_s REAL NOT NULL,
  reason TEXT NOT NULL CHECK (reason IN ('first', 'scene', 'interval', 'gap', 'last')),
  scene_score REAL NOT NULL,
  content_hash TEXT NOT NULL,
  perceptual_hash INTEGER NOT NULL,
  source_position INTEGER,
  change REAL NOT NULL,
  UNIQUE (recording, position)
) STRICT;
CREATE TABLE observations (
  frame INTEGER PRIMARY KEY REFERENCES frames ON DELETE CASCADE,
  status TEXT NOT NULL CHECK (status IN ('described', 'unparsed', 'failed')),
  description TEXT NOT NULL,
  activity TEXT NOT NULL,
  apps TEXT NOT NULL,
  topics TEXT NOT NULL,
  raw_response TEXT NOT NULL,
  error_code TEXT NOT NULL,
  error TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  model TEXT NOT NULL,
  generation_tokens INTEGER NOT NULL,
  model_ms REAL NOT NULL
) STRICT;
CREATE TABLE segments (
  recording INTEGER NOT NULL REFERENCES recordings ON DELETE CASCADE,
  position INTEGER NOT NULL,
  start_s REAL NOT NULL,
  end_s REAL NOT NULL,
  activity TEXT NOT NULL,
  apps TEXT NOT NULL,
  topics TEXT NOT NULL,
  description TEXT NOT NULL,
  PRIMARY KEY (recording, position)
) STRICT;
CREATE TABLE artefacts (
  recording INTEGER NOT NULL REFERENCES recordings ON DELETE CASCADE,
  format TEXT NOT NULL CHECK (format IN ('card', 'standup', 'narrative')),
  text TEXT NOT NULL,
  model TEXT NOT NULL,
  notes TEXT NOT NULL,
  key TEXT NOT NULL,
  PRIMARY KEY (recording, format)
) STRICT;
INSERT INTO recordings VALUES
  (1, 'a1b20000000000000000000000000000', x'2f72656320ff2f6d6f726e696e672e6d7034', 123456789, 60.5, 1280, 720, 'h264', '2026-01-31T07:00:00Z', 'summarised',
   'every 10 s', 'model demo', 'min 30 s', '2026-01-31T08:00:00Z', '2026-01-31T12:00:00Z', '["damaged at 12 s"]'),
  (2, 'beef0000000000000000000000000000', x'2f656d7074792e6d7034', 17, 0.25, 64, 48, 'vp9', '', 'known', '', '', '', '2026-01-31T08:00:00Z',
   '2026-01-31T18:00:00Z', '[]');
INSERT INTO frames VALUES
  (1, 1, 0, 0.0, 'first', 0.0, 'hash0', -81985529216486896, NULL, 0.0),
  (2, 1, 1, 10.1, 'interval', 0.5, 'hash0', 1, 0, 0.75),
  (3, 1, 2, 20.3, 'scene', 1.0, 'hash2', 2, NULL, 200.5),
  (4, 1, 3, 60.4, 'last', 0.25, 'hash3', 3, NULL, 9.0);
INSERT INTO observations VALUES
  (1, 'described', 'Editing the café parser', 'coding', '["VS Code","Terminal"]', '["tokenizer"]', '', '', '', 1, 'demo', 44, 12.25),
  (3, 'unparsed', '', '', '[]', '[]', 'I see a screen.', '', '', 2, 'demo', 5, 3.5),
  (4, 'failed', '', '', '[]', '[]', '', 'backend_error', 'the server answered with an error', 3, '', 0, 0.0);
INSERT INTO segments VALUES
  (1, 0, 0.0, 20.3, 'coding', '["VS Code"]', '["tokenizer"]', 'Editing the café parser'),
  (1, 1, 20.3, 60.5, 'other', '[]', '[]', '');
INSERT INTO artefacts VALUES (1, 'card', '# Morning', '', '["left out: Mail"]', 'of=1');
