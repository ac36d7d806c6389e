PRAGMA application_id = 0;
PRAGMA user_version = 0;
BEGIN TRANSACTION;
CREATE TABLE block (
    id TEXT PRIMARY KEY NOT NULL,
    target_kind TEXT NOT NULL, target_value TEXT NOT NULL, reason TEXT NOT NULL,
    made_by TEXT NOT NULL, made_unix_seconds INTEGER NOT NULL, expires_unix_seconds INTEGER,
    checksum INTEGER NOT NULL
) STRICT;
INSERT INTO "block" VALUES('66ac6e903984fa4058adcd2bee8d5fb4','principal','arn:aws:iam::111122223333:role/example-*','recorded, with a "quote" and a / slash','root@node-1',1795993306,NULL,-3623796582896068409);
INSERT INTO "block" VALUES('c530dd186532f2528622d9e38035aaea','keyStore','/another/store','recorded, with a "quote" and a / slash','root@node-1',1795993307,NULL,-8683571183671142675);
INSERT INTO "block" VALUES('1b35a372fc5dddc27b8b4d8eed2a5998','key','decrypt_only_key','recorded, with a "quote" and a / slash','root@node-1',1795993307,2111353307,3260607112178628569);
INSERT INTO "block" VALUES('048dee2722d2c81c62ce1ec70483ef02','everything','','everything','alice@node-2',1795993307,NULL,2070415024791675650);
CREATE TABLE block_lift (
    id TEXT PRIMARY KEY NOT NULL,
    lifted_by TEXT NOT NULL, lifted_unix_seconds INTEGER NOT NULL, checksum INTEGER NOT NULL
) STRICT;
INSERT INTO "block_lift" VALUES('048dee2722d2c81c62ce1ec70483ef02','bob@node-2',1795993307,-3663954483186715539);
CREATE TABLE block_list (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    unknown_reason TEXT, blocks INTEGER NOT NULL, lifts INTEGER NOT NULL, checksum INTEGER NOT NULL
) STRICT;
INSERT INTO "block_list" VALUES(1,NULL,4,1,2800994522995652576);
CREATE TABLE canary (
    label TEXT PRIMARY KEY NOT NULL,
    iv BLOB NOT NULL, ciphertext BLOB NOT NULL, digest BLOB NOT NULL,
    hsm TEXT NOT NULL, made_unix_seconds INTEGER NOT NULL,
    trusted_by_operator INTEGER NOT NULL, dispute TEXT, checksum INTEGER NOT NULL
) STRICT;
INSERT INTO "canary" VALUES('foo',X'B809A5A76395E145B9B21407',X'885A9DB2EB14FBE9E63189B931A40938F04CA83109E070A0C2262B4B3310BA92E9115C533F305DE9D9593721A7978F6D',X'0E34B76225D2FF67A4FB40FABDC95290D7BA3142F55468DDCD594FE3E3D79F03','hsm-1',1795993296,0,NULL,5311222330289565850);
INSERT INTO "canary" VALUES('bar',X'44E07D24E6EA82561DEDE8B7',X'B649D5312B9C54E612AFD537DEB9FE6211C37EB946722B4938EE26FDE07B05BE5CD802D42352E84B119AF2FF1AFA122F',X'0407F2915D747085543C9BDEE742A51809D68641B8140166B172BA67EEDD3409','hsm-1',1795993306,1,NULL,-1298077461950712319);
CREATE TABLE drained (
    hsm TEXT PRIMARY KEY NOT NULL, since_unix_seconds INTEGER NOT NULL
) STRICT;
INSERT INTO "drained" VALUES('hsm-1',1795993318);
CREATE TABLE grdb_migrations (identifier TEXT NOT NULL PRIMARY KEY);
INSERT INTO "grdb_migrations" VALUES('1 HSMs, keys and lanes');
INSERT INTO "grdb_migrations" VALUES('2 blocks and peers');
CREATE TABLE hsm (
    name TEXT PRIMARY KEY NOT NULL,
    module TEXT NOT NULL, token_label TEXT NOT NULL, serial TEXT NOT NULL,
    vendor TEXT NOT NULL, model TEXT NOT NULL, firmware TEXT NOT NULL,
    session_limit INTEGER,
    state TEXT NOT NULL, reason TEXT NOT NULL, since_unix_seconds INTEGER NOT NULL,
    p50_microseconds INTEGER NOT NULL, p95_microseconds INTEGER NOT NULL,
    p99_microseconds INTEGER NOT NULL, failures INTEGER NOT NULL,
    lanes_open INTEGER NOT NULL, lanes_busy INTEGER NOT NULL, lanes_overdue INTEGER NOT NULL,
    worker_pid INTEGER,
    updated_unix_seconds INTEGER NOT NULL
) STRICT;
INSERT INTO "hsm" VALUES('hsm-1','/usr/lib/softhsm/libsofthsm2.so','claviger-dev-hsm-1','abcf59d548fceb9e','SoftHSM project','SoftHSM v2','2.6',NULL,'active','',1795993297,0,0,0,0,1,0,0,13680,1795993322);
CREATE TABLE key (
    label TEXT NOT NULL, hsm TEXT NOT NULL,
    verdict TEXT NOT NULL, detail TEXT NOT NULL, usage TEXT NOT NULL,
    checked_unix_seconds INTEGER NOT NULL,
    encrypts INTEGER NOT NULL, decrypts INTEGER NOT NULL,
    PRIMARY KEY (label, hsm)
) STRICT, WITHOUT ROWID;
INSERT INTO "key" VALUES('bar','hsm-1','proven','','encrypt decrypt',1795993296,0,0);
INSERT INTO "key" VALUES('decrypt_only_key','hsm-1','unprovable','no HSM may both encrypt and decrypt with the key, and no canary of it is known','decrypt',1795993296,0,0);
INSERT INTO "key" VALUES('encrypt_only_key','hsm-1','unprovable','its CKA_DECRYPT is false, so that the key can never be proven','encrypt',1795993296,0,0);
INSERT INTO "key" VALUES('foo','hsm-1','proven','','encrypt decrypt',1795993296,0,0);
INSERT INTO "key" VALUES('impotent_key','hsm-1','unprovable','its CKA_DECRYPT is false, so that the key can never be proven','sign verify',1795993296,0,0);
CREATE TABLE lane_ledger (
    token TEXT NOT NULL, pid INTEGER NOT NULL, process_start INTEGER NOT NULL,
    wanted INTEGER NOT NULL, floor INTEGER NOT NULL,
    granted INTEGER NOT NULL, holding INTEGER NOT NULL,
    PRIMARY KEY (token, pid, process_start)
) STRICT, WITHOUT ROWID;
CREATE TABLE lane_limit (
    token TEXT PRIMARY KEY NOT NULL, sessions INTEGER NOT NULL
) STRICT;
CREATE TABLE node (
    id TEXT PRIMARY KEY NOT NULL, incarnation INTEGER NOT NULL,
    pid INTEGER NOT NULL, process_start INTEGER NOT NULL,
    started_unix_seconds INTEGER NOT NULL, version TEXT NOT NULL
) STRICT;
INSERT INTO "node" VALUES('node-1',1795993296,13643,2491592,1795993296,'0.1.0');
CREATE TABLE peer (
    name TEXT PRIMARY KEY NOT NULL,
    address TEXT NOT NULL, site TEXT NOT NULL, incarnation INTEGER NOT NULL,
    last_seen_unix_seconds INTEGER NOT NULL
) STRICT;
INSERT INTO "peer" VALUES('node-2','127.0.0.1:40619','dev',1795993296,1795993313);
CREATE TABLE store (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    id TEXT NOT NULL,
    written_unix_seconds INTEGER NOT NULL
) STRICT;
INSERT INTO "store" VALUES(1,'9600fd43380dea19ebf3723108817d1e',1795993322);
CREATE TABLE transition (
    at_unix_milliseconds INTEGER NOT NULL, hsm TEXT NOT NULL,
    from_state TEXT NOT NULL, to_state TEXT NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (at_unix_milliseconds, hsm, from_state, to_state)
) STRICT, WITHOUT ROWID;
INSERT INTO "transition" VALUES(1795993296403,'hsm-1','starting','active','');
COMMIT;
