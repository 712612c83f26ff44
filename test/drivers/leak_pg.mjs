// leak_pg.mjs HOW
//
// node-postgres in programs that do not give back what they have taken, and in
// one that does; see leak_psycopg.py.

import { createInterface } from 'node:readline';
import pg from 'pg';

const how = process.argv[2];
const options = { application_name: `leak pg ${how}` };
// What a client is told while it is idle; the first word of it is the server's.
let told;
const note = (e) => { told ??= e; };
const say = (text) => process.stdout.write(`${text}\n`);

async function pidOf(client) {
	return (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid;
}

// A new client for each job, and no end().  The jobs come at intervals, so that
// the earlier clients have not been used for a while when another one is made.
async function grows() {
	const clients = [];

	for (let i = 0; i < 7; i++) {
		if (i === 6)
			await new Promise((resolve) => { setTimeout(resolve, 10500); });
		const client = new pg.Client(options);
		client.on('error', note);
		await client.connect();
		await client.query('SELECT $1::int AS job', [i]);
		clients.push(client);
	}
	return [clients, 0];
}

// The early return that forgets release().
async function never_releases() {
	const pool = new pg.Pool({ ...options, max: 3 });
	pool.on('error', () => {});
	const client = await pool.connect();
	client.on('error', note);
	await client.query('BEGIN');
	await client.query('SELECT balance FROM accounts WHERE id = $1 FOR UPDATE', [2]);
	return [[client], await pidOf(client)];
}

async function leak(take) {
	const [clients, pid] = await take();

	say(`leaking ${pid}`);
	for await (const _ of createInterface({ input: process.stdin })) {
		let gone = 0;

		for (const client of clients) {
			try {
				await client.query('SELECT 1');
			} catch (e) {
				gone++;
				note(e);
			}
		}
		say(gone > 0 ? `error: ${gone} clients: ${told.message}` : 'went on');
		process.exit(0);
	}
}

async function job(pool) {
	const client = await pool.connect();

	try {
		await client.query('BEGIN');
		await client.query('SELECT balance FROM accounts WHERE id = $1', [3]);
		await client.query('UPDATE accounts SET balance = balance + 1 WHERE id = $1',
			[2 + Math.floor(Math.random() * 900)]);
		await client.query('COMMIT');
	} finally {
		client.release();
	}
}

// Bursts of jobs, and a pool that lets idle clients go.
async function sound() {
	const until = Date.now() + 1000 * Number(process.env.SECONDS);
	const pool = new pg.Pool({ ...options, max: 20, idleTimeoutMillis: 1000 });

	say('at work');
	while (Date.now() < until) {
		const jobs = [];
		for (let i = 0; i < 60; i++)
			jobs.push(job(pool));
		await Promise.all(jobs);
		await new Promise((resolve) => { setTimeout(resolve, 200); });
	}
	await pool.end();
	say('done');
}

const programs = { grows, never_releases };
try {
	await (how === 'sound' ? sound() : leak(programs[how]));
} catch (e) {
	say(`failed: ${e.message}`);
	process.exit(1);
}
