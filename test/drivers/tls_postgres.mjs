// tls_postgres.mjs
//
// postgres.js by TLS; see tls_psycopg.py.

import { readFileSync } from 'node:fs';
import postgres from 'postgres';

const sql = postgres({
	max: 1,
	ssl: { ca: readFileSync(process.env.PGSSLROOTCERT) } });
let ssl;

for (let number = 1; number < 4; number++)
	[{ ssl }] = await sql`SELECT ssl::text FROM pg_stat_ssl
		WHERE pid = pg_backend_pid() AND ${number}::int > 0`;
const [{ count }] = await sql.begin(async (tx) => {
	await tx`INSERT INTO seen VALUES ('postgres')`;
	return tx`SELECT count(*) FROM seen WHERE driver = ${'postgres'}`;
});
await sql.end();
console.log(`${ssl} ${count}`);
