// with_pg.mjs
//
// node-postgres at its ordinary work: unnamed and named statements, cursors,
// COPY by streams, notifications, its own pool.

import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import pg from 'pg';
import Cursor from 'pg-cursor';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { ALONE, ROUNDS, SESSIONS, Transcript, ZONES, finish, inTime, part }
	from './transcript.mjs';

// A connection with settings that no other has, and its transcript.
class Session {
	static async open(name, number, options = {}) {
		const s = new Session();
		s.number = number;
		s.t = new Transcript(`${name} ${number}`);
		s.client = new pg.Client(options);
		s.notices = [];
		s.reported = {};
		s.client.on('notice', (n) => s.notices.push(`${n.severity} ${n.code} ${n.message}`));
		s.client.connection.on('parameterStatus', (m) => {
			s.reported[m.parameterName] = m.parameterValue;
		});
		s.client.on('error', (error) => s.t.died(error));
		await s.client.connect();
		await s.client.query('SET search_path TO with_pg');
		await s.client.query(`SET TIME ZONE '${ZONES[number]}'`);
		await s.rows("SELECT set_config('app.user_id', $1, false)", [`${number}`]);
		return s;
	}

	// node-postgres sends a query without values by the simple protocol.
	async rows(text, values, name) {
		const result = await this.client.query({ name, text, values, rowMode: 'array' });
		return result.rows;
	}

	async close() {
		if (!this.closed)
			await this.client.end();
		this.closed = true;
	}

	// Whatever happened, these are still this session's.
	async check(label = 'settings') {
		this.t.expect(label, await this.rows(
			`SELECT current_setting('app.user_id'), current_setting('TimeZone'),
			 current_schema()`, undefined, 'check'),
		[[`${this.number}`, ZONES[this.number], 'with_pg']]);
		this.t.expect('TimeZone as reported', this.reported.TimeZone, ZONES[this.number]);
	}
}

async function create() {
	const client = new pg.Client();
	await client.connect();
	await client.query(`
		CREATE SCHEMA with_pg;
		SET search_path TO with_pg;
		CREATE TABLE item (id serial PRIMARY KEY, worker int NOT NULL,
			name text UNIQUE, price numeric, at timestamptz, doc jsonb,
			tags text[], raw bytea)`);
	for (let n = 0; n < SESSIONS; n++)
		await client.query(`CREATE TABLE with_pg.shape_${n} (a int)`);
	await client.end();
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

async function whatIsPrepared(s) {
	for (const row of await s.rows(`SELECT name, statement, from_sql,
		parameter_types::text FROM pg_prepared_statements ORDER BY name`))
		s.t.say('prepared', row);
}

async function oneRound(s, turn) {
	const { t, number: n } = s;
	await s.check(`round ${turn}`);
	// one name, and another text in each session
	t.say('own', await s.rows(`SELECT ${n} + $1::int, count(*) FROM item
		WHERE worker = $2 AND name LIKE $3`, [turn, n, `${t.name}/%`], 'own'));
	t.say('inserted', await s.rows(
		'INSERT INTO item (worker, name, at) VALUES ($1, $2, $3) RETURNING id, at::text',
		[n, `${t.name}/${turn}`, new Date(1700000000000)]));
	// by the simple protocol, several statements at once
	t.say('several', (await s.client.query(
		`SET app.turn = '${turn}'; SELECT current_setting('app.turn');
		 SHOW app.user_id`)).map((r) => [r.command, r.rows]));
	if (turn % 3 === 1) {
		await s.client.query('BEGIN');
		await s.client.query("SET LOCAL TIME ZONE 'Asia/Kolkata'");
		await s.client.query("SET LOCAL app.user_id = 'nobody'");
		t.say('local', await s.rows(`SELECT current_setting('app.user_id'), at::text
			FROM item WHERE name = $1`, [`${t.name}/0`], 'local'));
		await s.client.query('COMMIT');
	}
	if (turn % 3 === 2) {
		await s.client.query('BEGIN');
		await s.client.query('SET search_path TO pg_catalog');
		await s.client.query("SET TIME ZONE 'Asia/Kolkata'");
		// prepared in a transaction that is rolled back, and used later
		await s.rows('DELETE FROM with_pg.item WHERE worker = $1', [-1 - n], 'delete');
		await s.client.query('ROLLBACK');
	}
	if (turn > 2)
		t.say('deleted', await s.rows('DELETE FROM with_pg.item WHERE worker = $1', [-1 - n], 'delete'));
	await t.fails('duplicate', '23505', s.rows(
		'INSERT INTO item (worker, name) VALUES ($1, $2)', [n, `${t.name}/0`], 'insert'));
	await t.fails('no such table', '42P01', s.rows(
		'SELECT * FROM nowhere WHERE a = $1', [n], 'nowhere'));
	if (turn === ROUNDS - 2)
		await reshape(s);
}

// A table changes under a statement that is prepared.
async function reshape(s) {
	const query = () => s.rows(`SELECT * FROM shape_${s.number} WHERE a > $1`, [0], 'shape');
	await query();
	await s.client.query(`ALTER TABLE shape_${s.number} ADD COLUMN b int`);
	await s.t.fails('result type', '0A000', query());
	await s.t.fails('result type', '0A000', query());
	await s.client.query(`ALTER TABLE shape_${s.number} DROP COLUMN b`);
	s.t.say('shape', await query());
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
	const { t, client, number: n } = s;
	const big = Buffer.alloc(3000000, Buffer.from(Array.from({ length: 999 }, (_, i) => (i * 7 + n) % 256)));
	for (let turn = 0; turn < 4; turn++) {
		t.say('row', await s.rows(
			`INSERT INTO item (worker, name, price, at, doc, tags, raw)
			 VALUES ($1, $2, $3, $4, $5, $6, $7)
			 RETURNING name, price, at, doc, tags, raw`,
			[n, `${t.name}/${turn}`, '12.340', new Date(1700000000000), { a: [1, null] },
				['a', 'b,c', null], Buffer.from([0, 1, 255])], 'values'));
		const [[back]] = await s.rows('SELECT $1::bytea', [big]);
		t.expect('3 MB there and back', Buffer.compare(back, big), 0);
		// all are queued at once, each with a Sync of its own
		const queued = Array.from({ length: 20 }, (_, i) => s.rows('SELECT $1::int * 2', [i], 'twice'));
		queued.splice(10, 0, s.rows('SELECT 1 / $1::int', [0], 'divide').catch((e) => e.code));
		t.say('queued', await Promise.all(queued));
		await client.query(`DO $$BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'
			USING ERRCODE = '01234'; END$$`);
		t.say('notices', s.notices);
		s.notices.length = 0;
		await t.fails('timeout', '57014', client.query(
			"SET statement_timeout = '20ms'; SELECT pg_sleep(60)"));
		await client.query("SET statement_timeout = '30s'");
		await s.check();
		t.expect('statement_timeout', await s.rows('SHOW statement_timeout'), [['30s']]);
	}
}

async function cursorsAndCopy(s) {
	const { t, client, number: n } = s;
	for (let turn = 0; turn < 2; turn++) {
		const lines = Array.from({ length: 3000 }, (_, i) => `${n}\t${t.name}/${turn}/${i}\t${i}\n`);
		await pipeline(Readable.from(lines),
			client.query(copyFrom('COPY item (worker, name, price) FROM STDIN')));
		await t.fails('bad copy', '22P02', pipeline(Readable.from(['a\tb\n']),
			client.query(copyFrom('COPY item (worker, name) FROM STDIN'))));
		const chunks = [];
		for await (const chunk of client.query(copyTo(
			`COPY (SELECT name, price FROM item WHERE name LIKE '${t.name}/%' ORDER BY id) TO STDOUT`)))
			chunks.push(chunk);
		t.say('copied out', Buffer.concat(chunks).toString());
		// without a transaction, too, a portal lives as long as no Sync is sent
		const cursor = client.query(new Cursor(
			'SELECT price FROM item WHERE name LIKE $1 ORDER BY id', [`${t.name}/${turn}/%`]));
		let sum = 0, count = 0;
		for (;;) {
			const rows = await cursor.read(250);
			if (rows.length === 0)
				break;
			sum += rows.reduce((a, row) => a + Number(row.price), 0);
			count += rows.length;
		}
		await cursor.close();
		t.say('cursor', sum, count);
		const partly = client.query(new Cursor('SELECT generate_series(1, $1::int) AS i', [1000]));
		t.say('partly', await partly.read(3));
		await partly.close();
		await s.check();
	}
}

async function transactions(s) {
	const { t, client, number: n } = s;
	for (let turn = 0; turn < 4; turn++) {
		const name = `${t.name}/${turn}`;
		const insert = () => s.rows('INSERT INTO item (worker, name) VALUES ($1, $2)', [n, name], 'insert');
		await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
		await insert();
		await client.query('SAVEPOINT s');
		await t.fails('in a savepoint', '23505', insert());
		await t.fails('aborted', '25P02', s.rows('SELECT 1'));
		await client.query('ROLLBACK TO s');
		t.say('updated', await s.rows('UPDATE item SET price = 1 WHERE name = $1 RETURNING name', [name], 'update'));
		await client.query(turn % 2 ? 'COMMIT' : 'ROLLBACK');
		t.say('rows', await s.rows('SELECT name FROM item WHERE name LIKE $1 ORDER BY id', [`${t.name}/%`], 'find'));
		await s.check();
	}
}

// What can't travel: the backend has to stay.
async function state(s) {
	const { t, number: n } = s;
	await s.rows("CREATE TEMP TABLE scratch (i int, t text DEFAULT current_setting('app.user_id'))");
	for (let turn = 0; turn < 10; turn++) {
		await s.rows('INSERT INTO scratch VALUES ($1)', [turn * 10 + n], 'scratch');
		t.say('scratch', await s.rows('SELECT count(*), sum(i), min(t), max(t) FROM scratch'));
	}
	await s.rows('DROP TABLE scratch');
	await s.rows('SELECT pg_advisory_lock($1)', [4711]);
	for (let turn = 0; turn < 3; turn++)
		await s.rows('SELECT 1');
	t.expect('unlock', await s.rows('SELECT pg_advisory_unlock($1)', [4711]), [[true]]);
	await s.rows(`CREATE SEQUENCE own_${n} START 100`);
	t.say('nextval', await s.rows(`SELECT nextval('own_${n}')`));
	t.expect('currval', await s.rows(`SELECT currval('own_${n}'), lastval()`), [['100', '100']]);
	await s.check();
}

async function listen() {
	const listener = await Session.open('listen', 0);
	const notifier = ALONE ? await Session.open('listen', 1) : listener;
	if (ALONE)
		notifier.t.leaveOut();
	await listener.client.query('LISTEN pg_news');
	for (let i = 0; i < 3; i++) {
		const coming = once(listener.client, 'notification');
		await notifier.rows("SELECT pg_notify('pg_news', $1)", [`news ${i}`], 'notify');
		const [{ channel, payload, processId }] = await inTime(coming, 'notification');
		listener.t.expect('notification',
			[channel, payload, processId === notifier.client.processID],
			['pg_news', `news ${i}`, true]);
	}
	await listener.client.query('UNLISTEN *');
	listener.t.say('channels', await listener.rows('SELECT pg_listening_channels()'));
	await listener.check();
	await listener.client.end();
	if (ALONE)
		await notifier.client.end();
}

// node-postgres's own pool on top: four connections, eight users.
async function pooled() {
	const pool = new pg.Pool({ max: 4, options: '-c search_path=with_pg -c app.user_id=pooled' });
	await Promise.all(Array.from({ length: 8 }, async (_, n) => {
		const t = new Transcript(`pool ${n}`);
		try {
			for (let turn = 0; turn < 15; turn++)
				await usePool(t, pool, n, turn);
		} catch (error) {
			t.died(error);
		}
	}));
	await pool.end();
}

async function usePool(t, pool, n, turn) {
	t.expect('settings', (await pool.query(
		`SELECT current_schema(), current_setting('app.user_id') AS id,
		 current_setting('app.mine', true) IS NOT NULL AS mine`)).rows[0],
	{ current_schema: 'with_pg', id: 'pooled', mine: false });
	const client = await pool.connect();
	try {
		await client.query('BEGIN');
		await client.query({ name: 'insert', text: 'INSERT INTO item (worker, name) VALUES ($1, $2)',
			values: [n, `${t.name}/${turn}`] });
		await client.query(turn % 2 ? 'ROLLBACK' : 'COMMIT');
	} finally {
		client.release();
	}
	t.say('count', (await pool.query({ name: 'count', text:
		'SELECT count(*) FROM item WHERE name LIKE $1', values: [`${t.name}/%`] })).rows);
}

await part('create', create);
await part('default', () => inTurn('default'));
await part('options', () => inTurn('options', {
	application_name: 'drivers', statement_timeout: 30000,
	options: '-c work_mem=5MB -c app.option=x' }));
await part('values', () => sideBySide('values', values));
await part('cursors and copy', () => sideBySide('cursors and copy', cursorsAndCopy));
await part('transactions', () => sideBySide('transactions', transactions));
await part('state', () => sideBySide('state', state));
await part('listen', listen);
await part('pool', pooled);
finish();
