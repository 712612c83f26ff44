// with_postgres.mjs
//
// postgres.js at its ordinary work: it prepares every query, sends the next
// ones without waiting for results, reads by cursors, copies by streams, and
// is a pool by itself.

import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import postgres from 'postgres';
import { ALONE, ROUNDS, SESSIONS, Transcript, ZONES, finish, inTime, part }
	from './transcript.mjs';

// A connection with settings that no other has, and its transcript.
class Session {
	static async open(name, number, options = {}) {
		const s = new Session();
		s.number = number;
		s.t = new Transcript(`${name} ${number}`);
		s.notices = [];
		s.reported = {};
		s.sql = postgres({
			max: 1,
			onnotice: (n) => s.notices.push(`${n.severity} ${n.code} ${n.message}`),
			onparameter: (key, value) => { s.reported[key] = value; },
			...options });
		await s.sql`SET search_path TO with_postgres`;
		await s.sql`SET TIME ZONE ${s.sql.unsafe(`'${ZONES[number]}'`)}`;
		await s.sql`SELECT set_config('app.user_id', ${number}, false)`;
		return s;
	}

	async close() {
		if (!this.closed)
			await this.sql.end();
		this.closed = true;
	}

	// Whatever happened, these are still this session's.
	async check(label = 'settings') {
		this.t.expect(label, await this.sql`
			SELECT current_setting('app.user_id'), current_setting('TimeZone'),
				current_schema()`.values(),
		[[`${this.number}`, ZONES[this.number], 'with_postgres']]);
		this.t.expect('TimeZone as reported', this.reported.TimeZone, ZONES[this.number]);
	}
}

async function create() {
	const sql = postgres({ max: 1 });
	await sql`
		CREATE SCHEMA with_postgres;
		SET search_path TO with_postgres;
		CREATE TYPE mood AS ENUM ('sad', 'happy');
		CREATE TABLE item (number serial PRIMARY KEY, worker int NOT NULL,
			name text UNIQUE, m mood, moods mood[], price numeric,
			at timestamptz, doc jsonb, raw bytea)`.simple();
	for (let n = 0; n < SESSIONS; n++)
		await sql.unsafe(`CREATE TABLE with_postgres.shape_${n} (a int)`);
	await sql.end();
}

// Every transaction finds another session's backend.
async function inTurn(name, options) {
	const sessions = [];
	for (let n = 0; n < SESSIONS; n++)
		sessions.push(await Session.open(name, n, options));
	for (let turn = 0; turn < ROUNDS; turn++)
		for (const s of sessions)
			await attempt(s, (one) => oneRound(one, turn));
	for (const s of sessions) {
		await attempt(s, whatIsPrepared);
		await s.close();
	}
}

// With an error, the session ends, and the others go on.
async function attempt(s, work) {
	if (s.closed)
		return;
	try {
		await work(s);
	} catch (error) {
		s.t.died(error);
		await s.close();
	}
}

// Their names are random.
async function whatIsPrepared(s) {
	for (const row of await s.sql`SELECT statement, from_sql,
		parameter_types::text FROM pg_prepared_statements
		ORDER BY statement`.values())
		s.t.say('prepared', row);
}

async function oneRound(s, turn) {
	const { t, sql, number: n } = s;
	await s.check(`round ${turn}`);
	t.say('inserted', await sql`INSERT INTO item ${sql({ worker: n,
		name: `${t.name}/${turn}`, at: new Date(1700000000000), m: 'sad' })}
		RETURNING number, at::text, m`);
	t.say('found', await sql`SELECT name, m FROM item WHERE worker = ${n}
		AND name LIKE ${`${t.name}/%`} ORDER BY number`.values());
	// without waiting
	t.say('queued', await Promise.all(Array.from({ length: 20 },
		(_, i) => sql`SELECT ${i}::int * 2 AS twice, current_setting('app.user_id') AS id`.values())));
	if (turn % 3 === 1)
		t.say('local', await sql.begin(async (tx) => {
			await tx`SET LOCAL TIME ZONE 'Asia/Kolkata'`;
			await tx`SET LOCAL app.user_id = 'nobody'`;
			return tx`SELECT current_setting('app.user_id'), at::text FROM item
				WHERE name = ${`${t.name}/0`}`.values();
		}));
	if (turn % 3 === 2)
		await t.fails('rolled back', 'P0001', sql.begin(async (tx) => {
			await tx`SET search_path TO pg_catalog`;
			await tx`SET TIME ZONE 'Asia/Kolkata'`;
			await tx`DELETE FROM with_postgres.item WHERE worker = ${n}`;
			await tx`DO $$BEGIN RAISE EXCEPTION 'enough'; END$$`;
		}));
	await t.fails('duplicate', '23505',
		sql`INSERT INTO item (worker, name) VALUES (${n}, ${`${t.name}/0`})`);
	await t.fails('enum', '22P02', sql`UPDATE item SET m = ${'angry'} WHERE worker = ${n}`);
	t.say('described', (await sql`SELECT number, price FROM item WHERE at > ${new Date(0)}`.describe())
		.columns.map((c) => [c.name, c.type]));
	if (turn === ROUNDS - 2)
		await reshape(s);
}

// A table changes under a statement that is prepared; postgres.js prepares it
// again.
async function reshape(s) {
	const query = () => s.sql.unsafe(`SELECT * FROM shape_${s.number} WHERE a > $1`, [0], { prepare: true });
	await query();
	await s.sql.unsafe(`ALTER TABLE shape_${s.number} ADD COLUMN "${s.t.name}" int`);
	s.t.say('shape', (await query()).columns.length);
}

// All sessions at once.
async function sideBySide(name, work) {
	const sessions = [];
	for (let n = 0; n < SESSIONS; n++)
		sessions.push(await Session.open(name, n));
	await Promise.all(sessions.map(async (s) => {
		await attempt(s, work);
		await s.close();
	}));
}

async function values(s) {
	const { t, sql, number: n } = s;
	const big = Buffer.alloc(3000000, Buffer.from(Array.from({ length: 999 }, (_, i) => (i * 7 + n) % 256)));
	for (let turn = 0; turn < 4; turn++) {
		t.say('row', await sql`INSERT INTO item ${sql({ worker: n, name: `${t.name}/${turn}`,
			price: '12.340', at: new Date(1700000000000), m: 'happy',
			doc: sql.json({ a: [1, null] }), raw: Buffer.from([0, 1, 255]) })}
			RETURNING name, price, at, m, doc, raw`);
		t.say('array', await sql`UPDATE item SET moods = ${['sad', 'happy']}
			WHERE name = ${`${t.name}/${turn}`} RETURNING moods`);
		const [{ back }] = await sql`SELECT ${big}::bytea AS back`;
		t.expect('3 MB there and back', Buffer.compare(back, big), 0);
		const queued = Array.from({ length: 20 }, (_, i) => sql`SELECT ${i}::int * 2`.values());
		queued.splice(10, 0, sql`SELECT 1 / ${0}::int`.catch((e) => e.code));
		t.say('queued, with an error', await Promise.all(queued));
		s.notices.length = 0;
		await sql`DO $$BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two' USING ERRCODE = '01234'; END$$`;
		t.say('notices', s.notices);
		const sleeping = sql`SELECT pg_sleep(60)`;
		setTimeout(() => sleeping.cancel(), 200);
		await t.fails('cancel', '57014', sleeping);
		await s.check();
	}
}

async function cursorsAndCopy(s) {
	const { t, sql, number: n } = s;
	for (let turn = 0; turn < 2; turn++) {
		const lines = Array.from({ length: 3000 }, (_, i) => `${n}\t${t.name}/${turn}/${i}\t${i}\n`);
		await pipeline(Readable.from(lines),
			await sql`COPY item (worker, name, price) FROM STDIN`.writable());
		// not much: a longer one leaves the socket of postgres.js 3.4.7 paused
		const chunks = [];
		for await (const chunk of await sql.unsafe(`COPY (SELECT name, price FROM item
			WHERE name LIKE '${t.name}/%' ORDER BY number LIMIT 300) TO STDOUT`).readable())
			chunks.push(chunk);
		t.say('copied out', Buffer.concat(chunks).toString());
		let sum = 0, count = 0;
		for await (const rows of sql`SELECT price FROM item
			WHERE name LIKE ${`${t.name}/${turn}/%`} ORDER BY number`.cursor(250)) {
			sum += rows.reduce((a, row) => a + Number(row.price), 0);
			count += rows.length;
		}
		t.say('cursor', sum, count);
		let seen = 0;
		await sql`SELECT generate_series(1, ${1000}::int) AS i`.forEach((row) => { seen += row.i; });
		t.say('for each', seen);
		await s.check();
	}
}

async function transactions(s) {
	const { t, sql, number: n } = s;
	for (let turn = 0; turn < 4; turn++) {
		const name = `${t.name}/${turn}`;
		await sql.begin('isolation level repeatable read', async (tx) => {
			await tx`INSERT INTO item (worker, name) VALUES (${n}, ${name})`;
			await t.fails('savepoint', '23505', tx.savepoint((sp) =>
				sp`INSERT INTO item (worker, name) VALUES (${n}, ${name})`));
			// an array: sent at once
			t.say('both', await Promise.all([
				tx`UPDATE item SET price = 1 WHERE name = ${name} RETURNING price`.values(),
				tx`SHOW transaction_isolation`.values()]));
		});
		t.say('pipelined', await sql.begin((tx) => Array.from({ length: 10 }, (_, i) =>
			tx`INSERT INTO item (worker, name) VALUES (${n}, ${`${name}/${i}`}) RETURNING name`.values())));
		await t.fails('pipelined with an error', '22012', sql.begin((tx) => [
			tx`DELETE FROM item WHERE worker = ${n}`, tx`SELECT 1 / ${0}::int`]));
		t.say('rows', await sql`SELECT name FROM item WHERE name LIKE ${`${t.name}/%`} ORDER BY number`.values());
		await s.check();
	}
}

// What can't travel: the backend has to stay.
async function state(s) {
	const { t, sql, number: n } = s;
	await sql`CREATE TEMP TABLE scratch (i int, t text DEFAULT current_setting('app.user_id'))`;
	for (let turn = 0; turn < 10; turn++) {
		await sql`INSERT INTO scratch VALUES (${turn * 10 + n})`;
		t.say('scratch', await sql`SELECT count(*), sum(i), min(t), max(t) FROM scratch`);
	}
	await sql`DROP TABLE scratch`;
	await sql`SELECT pg_advisory_lock(${4711})`;
	for (let turn = 0; turn < 3; turn++)
		await sql`SELECT 1`;
	t.expect('unlock', await sql`SELECT pg_advisory_unlock(${4711}) AS free`, [{ free: true }]);
	await sql.unsafe(`CREATE SEQUENCE own_${n} START 100`);
	t.say('nextval', await sql`SELECT nextval(${`own_${n}`})`);
	t.expect('currval', await sql`SELECT currval(${`own_${n}`}), lastval()`,
		[{ currval: '100', lastval: '100' }]);
	await s.check();
}

// postgres.js opens a connection of its own to listen.
async function listen() {
	const s = await Session.open('listen', 0);
	const arrived = [];
	let wake = () => {};
	const { unlisten } = await s.sql.listen('postgres_news', (payload) => {
		arrived.push(payload);
		wake();
	});
	for (let i = 0; i < 3; i++) {
		const coming = new Promise((resolve) => { wake = resolve; });
		await s.sql.notify('postgres_news', `news ${i}`);
		s.t.expect('settings', await s.sql`SELECT current_setting('app.user_id')`.values(), [['0']]);
		if (arrived.length <= i)
			await inTime(coming, 'notification');
		s.t.expect('notification', arrived, Array.from({ length: i + 1 }, (_, j) => `news ${j}`));
	}
	await unlisten();
	await s.sql.end();
	// not a part of the transcript, which is the same without this
	s.t.leaveOut();
}

// Its pool: four connections, eight users.
async function pooled() {
	const sql = postgres({ max: 4, connection: {
		search_path: 'with_postgres', application_name: 'pooled', 'app.user_id': 'pooled' } });
	await Promise.all(Array.from({ length: 8 }, async (_, n) => {
		const t = new Transcript(`pool ${n}`);
		try {
			for (let turn = 0; turn < 15; turn++)
				await usePool(t, sql, n, turn);
		} catch (error) {
			t.died(error);
		}
	}));
	await sql.end();
}

async function usePool(t, sql, n, turn) {
	t.expect('settings', await sql`SELECT current_schema(), current_setting('app.user_id'),
		current_setting('application_name')`.values(), [['with_postgres', 'pooled', 'pooled']]);
	const name = `${t.name}/${turn}`;
	await sql.begin((tx) => [tx`SET LOCAL app.user_id = 'other'`,
		tx`INSERT INTO item (worker, name) VALUES (${n}, ${name})`]);
	if (turn % 5 === 0) {
		const reserved = await sql.reserve();
		await reserved`SET work_mem = '5MB'`;
		t.expect('reserved', await reserved`SHOW work_mem`.values(), [['5MB']]);
		await reserved`RESET ALL`;
		reserved.release();
	}
	t.say('count', await sql`SELECT count(*) FROM item WHERE name LIKE ${`${t.name}/%`}`.values());
}

await part('create', create);
await part('default', () => inTurn('default'));
await part('unprepared', () => inTurn('unprepared', { prepare: false }));
await part('options', () => inTurn('options', { connection: {
	application_name: 'drivers', work_mem: '5MB', 'app.option': 'x' } }));
await part('values', () => sideBySide('values', values));
await part('cursors and copy', () => sideBySide('cursors and copy', cursorsAndCopy));
await part('transactions', () => sideBySide('transactions', transactions));
await part('state', () => sideBySide('state', state));
// Its listener can't send, so that this needs a second backend.
if (ALONE)
	await part('listen', listen);
await part('pool', pooled);
finish();
