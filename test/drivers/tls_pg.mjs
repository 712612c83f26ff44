// tls_pg.mjs
//
// node-postgres by TLS; see tls_psycopg.py.  It uses channel binding if that is
// offered; that it does is told by one more word.

import { readFileSync } from 'node:fs';
import pg from 'pg';

const client = new pg.Client({
	ssl: { ca: readFileSync(process.env.PGSSLROOTCERT) },
	enableChannelBinding: true });
let mechanism;
let ssl;

client.connection.on('authenticationSASLContinue', () => {
	mechanism ??= client.saslSession?.mechanism;
});
await client.connect();
for (let number = 1; number < 4; number++)
	ssl = (await client.query({
		name: 'ssl',
		text: `SELECT ssl::text FROM pg_stat_ssl
			WHERE pid = pg_backend_pid() AND $1::int > 0`,
		values: [number] })).rows[0].ssl;
await client.query('BEGIN');
await client.query("INSERT INTO seen VALUES ('pg')");
const { count } = (await client.query('SELECT count(*) FROM seen WHERE driver = $1', ['pg'])).rows[0];
await client.query('COMMIT');
await client.end();
console.log(`${ssl} ${count} ${mechanism}`);
