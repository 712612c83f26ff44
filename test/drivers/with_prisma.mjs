// with_prisma.mjs
//
// Prisma at its ordinary work, with the connection string of a direct
// connection: its client through the driver adapter, which has a pool of its
// own, with and without named statements; and what its migrations do, which
// hold a lock of the session.

import { PrismaPg } from '@prisma/adapter-pg';
import prismaClient from '@prisma/client';
import pg from 'pg';
import { ALONE, ROUNDS, SESSIONS, Transcript, finish, part } from './transcript.mjs';

const { PrismaClient } = prismaClient;

// As in prisma migrate (the number of its advisory lock, too).
const MIGRATION_LOCK = 72707369;

function names(sql) {
	let sum = 0;
	for (const c of sql.sql)
		sum = (sum * 31 + c.charCodeAt(0)) % 4294967291;
	return `p${sum}`;
}

function connect(named) {
	return new PrismaClient({ adapter: new PrismaPg(
		{ max: 2, options: '-c search_path=with_prisma' },
		{ schema: 'with_prisma', ...(named ? { statementNameGenerator: names } : {}) }) });
}

// A migration: a lock of the session, scripts, and a table that says which
// have been carried out.  Somebody who wants the lock waits for it.
async function migrate(t, scripts) {
	const client = new pg.Client();
	await client.connect();
	await client.query(`SELECT pg_advisory_lock(${MIGRATION_LOCK})`);
	await client.query(`CREATE SCHEMA IF NOT EXISTS with_prisma;
		SET search_path TO with_prisma;
		CREATE TABLE IF NOT EXISTS _prisma_migrations (id serial PRIMARY KEY,
			name text UNIQUE, finished_at timestamptz)`);
	const done = (await client.query('SELECT name FROM _prisma_migrations')).rows
		.map((row) => row.name);
	for (const [name, script] of Object.entries(scripts)) {
		if (done.includes(name))
			continue;
		await client.query(script);
		await client.query('INSERT INTO _prisma_migrations (name, finished_at) VALUES ($1, now())',
			[name]);
		t?.say('migrated', name);
	}
	await client.query(`SELECT pg_advisory_unlock(${MIGRATION_LOCK})`);
	await client.end();
}

const scripts = {
	'1_init': `CREATE TABLE author (id serial PRIMARY KEY, email text NOT NULL, name text);
		CREATE UNIQUE INDEX author_email ON author (email);
		CREATE TABLE post (id serial PRIMARY KEY, title text NOT NULL,
			tags text[], doc jsonb, price numeric(10, 2),
			at timestamptz(3) NOT NULL DEFAULT now(),
			author_id int NOT NULL REFERENCES author ON DELETE CASCADE)`,
	'2_views': 'ALTER TABLE post ADD views int NOT NULL DEFAULT 0'
};

async function work(prisma, t, number) {
	const email = (i) => `${i}.of.${number}@example.com`;

	const author = await prisma.author.create({
		data: { email: email(0), name: 'first', posts: { create: [
			{ title: 'one', tags: ['a', 'b'], doc: { deep: [1, null] }, price: '12.50' },
			{ title: 'two' }] } },
		include: { posts: { select: { title: true, tags: true, doc: true, price: true, views: true },
			orderBy: { id: 'asc' } } } });
	t.say('nested', author.name, author.posts);
	t.expect('createMany', await prisma.author.createMany({
		data: [...Array(20).keys()].map((i) => ({ email: email(i + 1), name: `n${i % 3}` })) }),
	{ count: 20 });
	await t.fails('duplicate', 'P2002', prisma.author.create({ data: { email: email(0) } }));
	await t.fails('missing', 'P2025', prisma.author.update({
		where: { email: 'nobody' }, data: { name: 'x' } }));

	for (let turn = 0; turn < ROUNDS; turn++) {
		// as many at a time as the adapter's own pool does not have
		const found = await Promise.all([...Array(6).keys()].map((i) =>
			prisma.author.findMany({ where: { email: { endsWith: `.of.${number}@example.com` },
				name: `n${i % 3}` }, select: { email: true }, orderBy: { id: 'asc' } })));
		t.say('found', found.map((rows) => rows.length));
		t.expect('two in one', await prisma.$transaction([
			prisma.post.updateMany({ where: { authorId: author.id }, data: { views: { increment: 1 } } }),
			prisma.post.count({ where: { authorId: author.id, views: turn + 1 } })]),
		[{ count: 2 }, 2]);
	}

	const name = await prisma.$transaction(async (tx) => {
		await tx.author.update({ where: { email: email(0) }, data: { name: 'inside' } });
		return (await tx.author.findUnique({ where: { email: email(0) } })).name;
	}, { maxWait: 20000, timeout: 20000 });
	t.expect('interactive', name, 'inside');
	await prisma.$transaction(async (tx) => {
		await tx.author.deleteMany({ where: { email: { endsWith: `.of.${number}@example.com` } } });
		throw new Error('changed my mind');
	}, { maxWait: 20000, timeout: 20000 }).catch((error) => t.say('rolled back', error.message));
	t.expect('raw', await prisma.$queryRaw`SELECT count(*)::int AS n, current_schema()::text AS s
		FROM author WHERE email LIKE ${`%.of.${number}@example.com`}`,
	[{ n: 21, s: 'with_prisma' }]);
	t.say('grouped', await prisma.author.groupBy({ by: ['name'], _count: true,
		where: { email: { endsWith: `.of.${number}@example.com` } }, orderBy: { name: 'asc' } }));
	t.expect('deleted', (await prisma.author.deleteMany({
		where: { email: { endsWith: `.of.${number}@example.com` } } })).count, 21);
}

async function session(number, named) {
	const t = new Transcript(`${named ? 'named' : 'plain'} ${number}`);
	const prisma = connect(named);
	try {
		await work(prisma, t, number);
	} catch (error) {
		t.died(error);
	}
	await prisma.$disconnect();
}

await part('migrate', async () => {
	const t = new Transcript('migrate');
	await migrate(t, { '1_init': scripts['1_init'] });
	// two at once: one waits for the other, and finds nothing to do
	if (ALONE)
		await Promise.all([migrate(null, scripts), migrate(null, scripts)]);
	await migrate(null, scripts);
});
for (const named of [false, true])
	await part('sessions', () => Promise.all([...Array(SESSIONS).keys()].map((number) =>
		session(number, named))));
finish();
