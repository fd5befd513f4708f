SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.blocks (
    id bigint NOT NULL,
    tracker character varying(23) NOT NULL,
    digest bytea NOT NULL,
    sealed bytea NOT NULL,
    key_version integer NOT NULL,
    received_ms bigint NOT NULL,
    chain bytea,
    number bigint,
    repeats integer NOT NULL,
    repeated_ms bigint
);
CREATE SEQUENCE public.blocks_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.blocks_id_seq OWNED BY public.blocks.id;
CREATE TABLE public.coldtrail_schema (
    version integer NOT NULL
);
CREATE SEQUENCE public.coldtrail_schema_version_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.coldtrail_schema_version_seq OWNED BY public.coldtrail_schema.version;
CREATE TABLE public.commands (
    tracker character varying(23) NOT NULL,
    counter bigint NOT NULL,
    action bytea NOT NULL,
    expiry bigint NOT NULL,
    made_ms bigint NOT NULL,
    sent_ms bigint,
    taken_ms bigint,
    ended_ms bigint,
    outcome integer,
    reason text
);
CREATE TABLE public.kept (
    tracker character varying(23) NOT NULL,
    chain bytea NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL
);
CREATE TABLE public.keys (
    tracker character varying(23) NOT NULL,
    version integer NOT NULL,
    uplink bytea NOT NULL,
    downlink bytea NOT NULL
);
CREATE TABLE public.quarantine (
    id bigint NOT NULL,
    received_ms bigint NOT NULL,
    topic text NOT NULL,
    reason text NOT NULL,
    size bigint NOT NULL,
    message bytea NOT NULL,
    known boolean DEFAULT false NOT NULL
);
CREATE SEQUENCE public.quarantine_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.quarantine_id_seq OWNED BY public.quarantine.id;
CREATE TABLE public.refused (
    reason text NOT NULL,
    count bigint NOT NULL
);
CREATE TABLE public.shipments (
    id character varying(32) NOT NULL,
    tracker character varying(23) NOT NULL,
    profile text
);
CREATE TABLE public.trackers (
    id character varying(23) NOT NULL,
    test boolean NOT NULL,
    chain bytea,
    key_version integer,
    last_seen_ms bigint
);
ALTER TABLE ONLY public.blocks ALTER COLUMN id SET DEFAULT nextval('public.blocks_id_seq'::regclass);
ALTER TABLE ONLY public.coldtrail_schema ALTER COLUMN version SET DEFAULT nextval('public.coldtrail_schema_version_seq'::regclass);
ALTER TABLE ONLY public.quarantine ALTER COLUMN id SET DEFAULT nextval('public.quarantine_id_seq'::regclass);
INSERT INTO public.blocks VALUES (2, 'CT-1', '\x586c51ba279ad6ae2d35d287f099bb4982a6bb548cd586b71acd012125efafeb', '\xd1844aa301050319fde9044101a05850a800010148636861696e20203102020350b3f03542ee5aa7430bfebcc89f188bd3040105030763532d3108a7000301000219012c08831901f4010109831907d000000a831901c200000c83190e10000058207130d4ce3bb1347ef289c93866090d7968812326a34239544232ffc03758d0aa', 1, 1767225600123, '\x636861696e202031', 2, 0, NULL);
INSERT INTO public.blocks VALUES (3, 'CT-1', '\xdc04853a4db5e815fe26485952fd84923ac6ec00e0ed2bae2f0ee237091c0ea8', '\xd1844aa301050319fde9044101a05850a800010148636861696e20203102030350586c51ba279ad6ae2d35d287f099bb49040105060763532d3108a7000301000219012c08831901f4010109831907d000000a831901c200000c83190e100000582014790c6db786f3b3c14cc9bba86584df76a9496d2888e36aac5d4b97edb567a3', 1, 1767225600123, '\x636861696e202031', 3, 0, NULL);
INSERT INTO public.blocks VALUES (4, 'CT-1', '\xce13d89af998c16c3ea4d735cc406dcd24e430c192885d45df01cfad64d02957', '\xd1844aa301050319fde9044101a05850a800010148636861696e202031020503508b15f199f2899269a7e8e9198427ddf60401050c0763532d3108a7000301000219012c08831901f4010109831907d000000a831901c200000c83190e100000582000af8e0d775ebcdba37f000a01db52c62055316d822ccce90c0e462a2b8e3ccb', 1, 1767225600123, '\x636861696e202031', 5, 0, NULL);
INSERT INTO public.blocks VALUES (5, 'CT-1', '\xabef0c8b7eb5e50149e10130d35144610612fbc496e65bf834c212d41a9fe8e3', '\xd1844aa301050319fde9044101a05848a800010148636861696e2020310201035000000000000000000000000000000000040105000763532d3108a7000101000219012c08811901f409811907d00a811901c20c81190e10582017cb36621c8868044011a268c21b456288c3385376c3161718b106f0e6c17302', 1, 1767225600123, '\x636861696e202031', 1, 0, NULL);
INSERT INTO public.blocks VALUES (6, 'CT-1', '\x7c9b4a18d79911f96032d3611ff9b6d8f098b92cf93adfef2b73558c8c26eecd', '\xd1844aa301050319fde9044101a05841a800010148636861696e20203102060350ce13d89af998c16c3ea4d735cc406dcd0401050f0763532d3109818611071b0000019b76daa87b0302666e6f20736b7958208d1aa5ea148ac0089652bb6188ea8e9beba3259c52b7bdf4a17e67cfe04f02d3', 1, 1767225600123, '\x636861696e202031', 6, 0, NULL);
INSERT INTO public.blocks VALUES (7, 'CT-2', '\x813c7250dc7ddf9346cff8b5d83f2f31553e91d9b73d51454af3349e713f30fa', '\xd1844aa301050319fde9044101a0584ca800010148636861696e2020310201035000000000000000000000000000000000040105000763532d3108a7000201000219012c08821901f40109821907d0000a821901c2000c82190e10005820478f6c8c3e78c975c91e02aa93ba9a93273a4b06005c756f00d637dc66872564', 1, 1767225600123, '\x636861696e202031', 1, 0, NULL);
INSERT INTO public.blocks VALUES (8, 'CT-2', '\xc057ddca2e3f5d1e4128ee4332acaa004990265e9e01db4b553702409a727395', '\xd1844aa301050319fde9044101a0584ca800010148636861696e20203102020350813c7250dc7ddf9346cff8b5d83f2f31040105020763532d3108a7000201000219012c08821901f40109821907d0000a821901c2000c82190e1000582045f843279cd3726ac7022bfa5fb88ca9e9c0affb08cdc5023627c8fbc8b4c750', 1, 1767225600123, '\x636861696e202031', 2, 0, NULL);
INSERT INTO public.blocks VALUES (9, 'CT-2', '\x7bba5d498dec9aed698dbd9fd7a127b93ac8e06d206aa9358184dc1e1c4527fc', '\xd1844aa301050319fde9044101a0584ca800010148636861696e20203102030350c057ddca2e3f5d1e4128ee4332acaa00040105040763532d3108a7000201000219012c08821901f40109821907d0000a821901c2000c82190e100058207096787eb1ce175982c52236e5c09b2d8d00808a901de4ffb389c5efd6bb86cd', 1, 1767225600123, '\x636861696e202031', 3, 0, NULL);
INSERT INTO public.blocks VALUES (1, 'CT-1', '\xb3f03542ee5aa7430bfebcc89f188bd39892884f98fecb89399f1b696aa7098b', '\xd1844aa301050319fde9044101a05850a800010148636861696e2020310201035000000000000000000000000000000000040105000763532d3108a7000301000219012c08831901f4010109831907d000000a831901c200000c83190e1000005820986e3f14f08ba412cb005a3d821ee51129f59e1b5e5cdf8716f6e6a4f8ea9150', 1, 1767225600123, '\x636861696e202031', 1, 1, 1767225600123);
INSERT INTO public.coldtrail_schema VALUES (3);
INSERT INTO public.commands VALUES ('CT-1', 1767225600124, '\x8104', 1767229200, 1767225600123, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.commands VALUES ('CT-1', 1767225600123, '\x8103', 1767229200, 1767225600123, NULL, NULL, 1767225600123, 2, 'no sky');
INSERT INTO public.kept VALUES ('CT-1', '\x636861696e202031', 1, 3);
INSERT INTO public.kept VALUES ('CT-1', '\x636861696e202031', 5, 6);
INSERT INTO public.kept VALUES ('CT-2', '\x636861696e202031', 1, 3);
INSERT INTO public.keys VALUES ('CT-1', 1, '\x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', '\x202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f');
INSERT INTO public.keys VALUES ('CT-2', 1, '\x8dd550088df275ef2ec582cfbd8f4c289efe94e1d71e41768f55da126004eb84', '\xe2a4ac725e7cf061bbdba5ecbf84e2e4d3d692e27e304a9e41993987c43a6c62');
INSERT INTO public.quarantine VALUES (1, 1767225600123, 'CT-1', 'not the contract''s COSE_Mac0: it does not begin as one', 4, '\x6a756e6b', true);
INSERT INTO public.quarantine VALUES (2, 1767225600123, 'CT-9', 'unknown tracker', 4, '\x6a756e6b', false);
INSERT INTO public.quarantine VALUES (3, 1767225600123, 'x', 'topic names no tracker', 4, '\x6a756e6b', false);
INSERT INTO public.refused VALUES ('not the contract''s COSE_Mac0', 1);
INSERT INTO public.refused VALUES ('topic names no tracker', 1);
INSERT INTO public.refused VALUES ('unknown tracker', 1);
INSERT INTO public.shipments VALUES ('S-1', 'CT-1', '{"a\\b":"\u00e9"}');
INSERT INTO public.shipments VALUES ('S-2', 'CT-2', NULL);
INSERT INTO public.trackers VALUES ('CT-1', true, '\x636861696e202031', 1, 1767225600123);
INSERT INTO public.trackers VALUES ('CT-2', true, '\x636861696e202031', 1, 1767225600123);
SELECT pg_catalog.setval('public.blocks_id_seq', 9, true);
SELECT pg_catalog.setval('public.coldtrail_schema_version_seq', 1, false);
SELECT pg_catalog.setval('public.quarantine_id_seq', 3, true);
ALTER TABLE ONLY public.blocks
    ADD CONSTRAINT blocks_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.coldtrail_schema
    ADD CONSTRAINT coldtrail_schema_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.commands
    ADD CONSTRAINT commands_pkey PRIMARY KEY (tracker, counter);
ALTER TABLE ONLY public.kept
    ADD CONSTRAINT kept_pkey PRIMARY KEY (tracker, chain, first);
ALTER TABLE ONLY public.keys
    ADD CONSTRAINT keys_pkey PRIMARY KEY (tracker, version);
ALTER TABLE ONLY public.quarantine
    ADD CONSTRAINT quarantine_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.refused
    ADD CONSTRAINT refused_pkey PRIMARY KEY (reason);
ALTER TABLE ONLY public.shipments
    ADD CONSTRAINT shipments_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.trackers
    ADD CONSTRAINT trackers_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX blocks_identity ON public.blocks USING btree (tracker, chain, number, digest);
CREATE UNIQUE INDEX blocks_unread ON public.blocks USING btree (tracker, digest) WHERE (chain IS NULL);
CREATE INDEX commands_awaited ON public.commands USING btree (tracker, outcome);
CREATE INDEX commands_open ON public.commands USING btree (outcome, expiry);
CREATE INDEX keys_downlink ON public.keys USING btree (downlink);
CREATE INDEX keys_uplink ON public.keys USING btree (uplink);
CREATE INDEX quarantine_known ON public.quarantine USING btree (known, id);
CREATE INDEX quarantine_topic ON public.quarantine USING btree (topic, id);
ALTER TABLE ONLY public.blocks
    ADD CONSTRAINT blocks_tracker_fkey FOREIGN KEY (tracker) REFERENCES public.trackers(id);
ALTER TABLE ONLY public.commands
    ADD CONSTRAINT commands_tracker_fkey FOREIGN KEY (tracker) REFERENCES public.trackers(id);
ALTER TABLE ONLY public.kept
    ADD CONSTRAINT kept_tracker_fkey FOREIGN KEY (tracker) REFERENCES public.trackers(id);
ALTER TABLE ONLY public.keys
    ADD CONSTRAINT keys_tracker_fkey FOREIGN KEY (tracker) REFERENCES public.trackers(id);
ALTER TABLE ONLY public.shipments
    ADD CONSTRAINT shipments_tracker_fkey FOREIGN KEY (tracker) REFERENCES public.trackers(id);
