# with_asyncpg.py
#
# asyncpg at its ordinary work: it prepares every statement with arguments,
# asks the catalogs about types that it does not know, and its pool resets
# sessions.

import asyncio
import datetime
import io
import json
import os
from decimal import Decimal

import asyncpg
from transcript import Transcript, finish

SESSIONS = 5
ROUNDS = 8
ZONES = ['Asia/Tokyo', 'Europe/Paris', 'America/Lima', 'UTC', 'Africa/Cairo']
ALONE = os.environ.get('DRIVERS_ALONE', '1') == '1'
TIMEOUT = 20

transcripts = []


class Session:
    """A connection with settings that no other has, and its transcript."""

    @classmethod
    async def open(cls, part, number, **options):
        s = cls()
        s.number = number
        s.t = Transcript(f'{part} {number}')
        transcripts.append(s.t)
        s.conn = await asyncpg.connect(timeout=TIMEOUT, **options)
        s.messages = []
        s.conn.add_log_listener(lambda _, message: s.messages.append(
            (message.severity, message.sqlstate, message.message)))
        await s.conn.execute('SET search_path TO with_asyncpg')
        await s.conn.execute(f"SET TIME ZONE '{ZONES[number]}'")
        await s.conn.execute("SELECT set_config('app.user_id', $1, false)",
                             str(number))
        return s

    async def check(self, label='settings'):
        """Whatever happened, these are still this session's."""
        row = await self.conn.fetchrow(
            "SELECT current_setting('app.user_id'),"
            " current_setting('TimeZone'), current_schema()")
        self.t.expect(label, tuple(row),
                      (str(self.number), ZONES[self.number], 'with_asyncpg'))
        self.t.expect('TimeZone as reported',
                      self.conn.get_settings().TimeZone, ZONES[self.number])

    async def fails(self, label, wanted, awaitable):
        """An error with this code; the connection is usable afterwards."""
        try:
            await awaitable
        except asyncpg.PostgresError as error:
            self.t.say(label, error.sqlstate, str(error))
            self.t.expect(f'{label}: code', error.sqlstate, wanted)
        except asyncio.TimeoutError:
            self.t.expect(f'{label}: code', 'timeout', wanted)
        else:
            self.t.expect(f'{label}: code', None, wanted)


async def create():
    conn = await asyncpg.connect()
    await conn.execute('''
        CREATE SCHEMA with_asyncpg;
        SET search_path TO with_asyncpg;
        CREATE TYPE mood AS ENUM ('sad', 'happy');
        CREATE DOMAIN small AS int CHECK (VALUE < 1000);
        CREATE TYPE place AS (x int, y numeric, name text);
        CREATE TABLE item (worker int NOT NULL, number serial PRIMARY KEY,
            name text UNIQUE, m mood, s small, p place, many place[],
            price numeric, during tstzrange, doc jsonb)''')
    for number in range(SESSIONS):
        await conn.execute(f'CREATE TABLE with_asyncpg.shape_{number} (a int)')
    await conn.close()


async def in_turn(part, **options):
    """Every transaction finds another session's backend."""
    sessions = [await Session.open(part, n, **options) for n in range(SESSIONS)]
    for turn in range(ROUNDS):
        for s in sessions:
            await attempt(s, one_round, turn)
    for s in sessions:
        await attempt(s, what_is_prepared)
        s.conn.terminate()


async def attempt(s, work, *arguments):
    """With an error, the session ends, and the others go on."""
    if s.conn.is_closed():
        return
    try:
        await work(s, *arguments)
    except Exception as error:
        s.t.died(error)
        s.conn.terminate()


async def what_is_prepared(s):
    for row in await s.conn.fetch(
            'SELECT statement, from_sql, parameter_types::text'
            ' FROM pg_prepared_statements ORDER BY statement'):
        s.t.say('prepared', tuple(row))


async def one_round(s, turn):
    n = s.number
    await s.check(f'round {turn}')
    s.t.say('inserted', await s.conn.fetchval(
        'INSERT INTO item (worker, name) VALUES ($1, $2) RETURNING number',
        n, f'{s.t.name}/{turn}'))
    s.t.say('found', [tuple(row) for row in await s.conn.fetch(
        'SELECT number, name FROM item WHERE worker = $1 AND name LIKE $2'
        ' ORDER BY number', n, f'{s.t.name}/%')])
    if turn % 3 == 1:
        async with s.conn.transaction():
            await s.conn.execute("SET LOCAL TIME ZONE 'Asia/Kolkata'")
            await s.conn.execute("SET LOCAL app.user_id = 'nobody'")
            s.t.say('local', await s.conn.fetchval(
                "SELECT current_setting('app.user_id') || ' ' ||"
                " $1::timestamptz",
                datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone.utc)))
    if turn % 3 == 2:
        transaction = s.conn.transaction()
        await transaction.start()
        await s.conn.execute('SET search_path TO pg_catalog')
        await s.conn.execute("SET TIME ZONE 'Asia/Kolkata'")
        await s.conn.execute('DELETE FROM with_asyncpg.item WHERE worker = $1', n)
        await transaction.rollback()
    await s.fails('duplicate', '23505', s.conn.execute(
        'INSERT INTO item (worker, name) VALUES ($1, $2)', n, f'{s.t.name}/0'))
    if turn == ROUNDS - 2:
        await reshape(s)


async def reshape(s):
    """A table changes under a statement that asyncpg keeps: inside a
    transaction it is an error, outside asyncpg prepares it again."""
    query = f'SELECT * FROM shape_{s.number} WHERE a > $1'
    await s.conn.fetch(query, 0)
    await s.conn.execute(f'ALTER TABLE shape_{s.number}'
                         f' ADD COLUMN b{len(transcripts)} int')

    async def inside():
        async with s.conn.transaction():
            await s.conn.fetch(query, 0)
    # without a cache, asyncpg parses an unnamed statement each time
    cached = s.t.name.startswith('default')
    await s.fails('result type', '0A000' if cached else None, inside())
    await s.conn.fetch(query, 0)
    statement = await s.conn.prepare(query)
    s.t.say('shape', await statement.fetch(0),
            [a.name for a in statement.get_attributes()])


async def prepared(part):
    """Statements prepared by all, and executed later.  asyncpg sends Parse,
    Describe and Flush, and no Sync before the next command, so that each
    session is idle in the middle of a batch."""
    sessions = [await Session.open(part, n) for n in range(SESSIONS)]
    for s in sessions:
        await attempt(s, prepare)
    for turn in range(ROUNDS):
        for s in sessions:
            await attempt(s, use_prepared, turn)
    for s in sessions:
        await attempt(s, what_is_prepared)
        s.conn.terminate()


async def prepare(s):
    s.add = await s.conn.prepare(f'SELECT $1::int + {s.number}, $2::text')
    s.find = await s.conn.prepare('SELECT number, name FROM item'
                                  ' WHERE worker = $1 ORDER BY number LIMIT 5')


async def use_prepared(s, turn):
    s.t.say('own', tuple(await s.add.fetchrow(turn, s.t.name)))
    s.t.say('types', [p.name for p in s.add.get_parameters()],
            [(a.name, a.type.name) for a in s.find.get_attributes()])
    s.t.say('found', [tuple(row) for row in await s.find.fetch(s.number)])
    await s.check(f'round {turn}')


async def side_by_side(part, work, **options):
    """All sessions at once."""
    async def run(session):
        await attempt(session, work)
        session.conn.terminate()

    sessions = [await Session.open(part, n, **options) for n in range(SESSIONS)]
    await asyncio.gather(*(run(s) for s in sessions))


async def types(s):
    """Types that asyncpg has to ask the catalogs about."""
    n = s.number
    await s.conn.set_type_codec('jsonb', schema='pg_catalog',
                                encoder=json.dumps, decoder=json.loads)
    during = asyncpg.Range(
        datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc),
        datetime.datetime(2024, 1, 2 + n, tzinfo=datetime.timezone.utc))
    for turn in range(3):
        row = await s.conn.fetchrow(
            'INSERT INTO item (worker, name, m, s, p, many, price, during, doc)'
            ' VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING *',
            n, f'{s.t.name}/{turn}', 'happy', 10 + n, (1, Decimal('2.50'), 'a'),
            [(n, None, 'b'), None, (3, Decimal(turn), None)],
            Decimal('1e100') + turn, during, {'n': n, 'list': [1, None]})
        s.t.say('row', *[(key, value) for key, value in row.items()
                         if key != 'number'])
        await s.fails('enum', '22P02', s.conn.execute(
            'UPDATE item SET m = $1 WHERE worker = $2', 'angry', n))
        await s.fails('domain', '23514', s.conn.execute(
            'UPDATE item SET s = $1 WHERE worker = $2', 1000, n))
        big = bytes((i * 7 + n) % 256 for i in range(1000)) * 3000
        s.t.expect('3 MB there and back',
                   await s.conn.fetchval('SELECT $1::bytea', big) == big, True)
        await s.conn.execute("DO $$BEGIN RAISE NOTICE 'one'; RAISE WARNING"
                             " 'two' USING ERRCODE = '01234'; END$$")
        await asyncio.sleep(0)          # the listener is called a bit later
        s.t.say('notices', s.messages)
        s.messages.clear()
        await s.check()


async def cursors_and_copy(s):
    conn, n = s.conn, s.number
    for turn in range(2):
        s.t.say('copied in', await conn.copy_records_to_table(
            'item', columns=['worker', 'name', 'price'],
            records=[(n, f'{s.t.name}/{turn}/{i}', Decimal(i))
                     for i in range(2000)]))
        s.t.say('copied in, text', await conn.copy_to_table(
            'item', columns=['worker', 'name'], source=io.BytesIO(
                b''.join(b'%d\t%s/text %d/%d\n' % (n, s.t.name.encode(), turn, i)
                         for i in range(500)))))
        out = io.BytesIO()
        s.t.say('copied out', await conn.copy_from_query(
            'SELECT name, price FROM item WHERE name LIKE $1 ORDER BY number',
            f'{s.t.name}/%', output=out), out.getvalue())
        await s.fails('bad copy', '22P02', conn.copy_to_table(
            'item', columns=['worker', 'name'], source=io.BytesIO(b'a\tb\n')))
        async with conn.transaction():
            total = count = 0
            async for row in conn.cursor(
                    'SELECT price FROM item WHERE name LIKE $1 ORDER BY number',
                    f'{s.t.name}/{turn}/%', prefetch=300):
                total += row[0]
                count += 1
            s.t.say('cursor', total, count)
            cursor = await conn.cursor('SELECT generate_series(1, $1::int)', 1000)
            await cursor.forward(500)
            s.t.say('forward', [row[0] for row in await cursor.fetch(3)])
        await s.check()


async def nested(s):
    """Transactions in transactions, errors inside, and isolation levels."""
    conn, n = s.conn, s.number
    for turn in range(4):
        name = f'{s.t.name}/{turn}'
        async with conn.transaction():
            await conn.execute('INSERT INTO item (worker, name) VALUES ($1, $2)',
                               n, name)
            await s.fails('inner', '23505', inner(conn, n, name))
            async with conn.transaction():
                await conn.execute('UPDATE item SET price = $1 WHERE name = $2',
                                   Decimal(turn), name)
        async with conn.transaction(isolation='serializable', readonly=True,
                                    deferrable=True):
            s.t.say('level', await conn.fetchval('SHOW transaction_isolation'),
                    await conn.fetchval('SHOW transaction_read_only'))
        s.t.say('many', await conn.executemany(
            'INSERT INTO item (worker, name, price) VALUES ($1, $2, $3)',
            [(n, f'{name}/{i}', Decimal(i)) for i in range(200)]))
        await s.fails('many with an error', '23505', conn.executemany(
            'INSERT INTO item (worker, name, price) VALUES ($1, $2, $3)',
            [(n, f'{name}/e{i % 150}', Decimal(i)) for i in range(200)]))
        s.t.say('rows', tuple(await conn.fetchrow(
            'SELECT count(*), sum(price) FROM item WHERE name LIKE $1',
            f'{s.t.name}/%')))
        await s.fails('division', '22012', conn.fetch('SELECT 1 / $1::int', 0))
        await s.fails('timeout', 'timeout', conn.fetch(
            'SELECT pg_sleep($1)', 60, timeout=0.2))
        await s.check()


async def inner(conn, n, name):
    async with conn.transaction():
        await conn.execute('INSERT INTO item (worker, name) VALUES ($1, $2)',
                           n, name)


async def few_statements(s):
    """A small cache: asyncpg closes statements all the time."""
    for turn in range(4):
        for i in range(6):
            s.t.say('sum', await s.conn.fetchval(
                f'SELECT $1::int + {i}', turn))
        await s.check()
    s.t.say('prepared', [tuple(row) for row in await s.conn.fetch(
        'SELECT statement FROM pg_prepared_statements ORDER BY statement')])


async def state(s):
    """What can't travel: the backend has to stay."""
    conn, n = s.conn, s.number
    await conn.execute('CREATE TEMP TABLE scratch (i int, t text'
                       " DEFAULT current_setting('app.user_id'))")
    for turn in range(10):
        await conn.execute('INSERT INTO scratch VALUES ($1)', turn * 10 + n)
        s.t.say('scratch', tuple(await conn.fetchrow(
            'SELECT count(*), sum(i), min(t), max(t) FROM scratch')))
    await conn.execute('DROP TABLE scratch')
    await conn.execute('SELECT pg_advisory_lock($1)', 4711)
    for turn in range(3):
        await conn.fetchval('SELECT 1')
    s.t.expect('unlock',
               await conn.fetchval('SELECT pg_advisory_unlock($1)', 4711), True)
    await conn.execute(f'CREATE SEQUENCE own_{n} START 100')
    s.t.say('nextval', await conn.fetchval(f"SELECT nextval('own_{n}')"))
    s.t.expect('currval', tuple(await conn.fetchrow(
        f"SELECT currval('own_{n}'), lastval()")), (100, 100))
    await s.check()


async def listen():
    listener = await Session.open('listen', 0)
    notifier = await Session.open('listen', 1) if ALONE else listener
    t = listener.t
    if ALONE:
        transcripts.remove(notifier.t)
    queue = asyncio.Queue()
    try:
        await listener.conn.add_listener(
            'asyncpg_news', lambda _, pid, channel, payload:
            queue.put_nowait((channel, payload, pid)))
        pid = notifier.conn.get_server_pid()
        for i in range(3):
            await notifier.conn.execute(
                "SELECT pg_notify('asyncpg_news', $1)", f'news {i}')
            channel, payload, sender = await asyncio.wait_for(queue.get(), TIMEOUT)
            t.expect('notification', (channel, payload, sender == pid),
                     ('asyncpg_news', f'news {i}', True))
        await listener.conn.reset()
        t.say('channels', await listener.conn.fetch(
            'SELECT pg_listening_channels()'))
    except Exception as error:
        t.died(error)
    listener.conn.terminate()
    notifier.conn.terminate()


async def pooled():
    """asyncpg's own pool on top: four connections, eight tasks, and a reset
    of the session at each release."""
    async def setup(conn):
        await conn.execute("SET app.user_id = 'pooled'")

    async def work(t, n):
        try:
            for turn in range(15):
                async with pool.acquire() as conn:
                    t.expect('settings', tuple(await conn.fetchrow(
                        "SELECT current_schema(), current_setting('app.user_id'),"
                        " current_setting('TimeZone'),"
                        " current_setting('work_mem')")),
                        ('with_asyncpg', 'pooled', 'Asia/Tokyo', '4MB'))
                    await conn.execute("SET work_mem = '5MB'")
                    await conn.execute("SET TIME ZONE 'Europe/Paris'")
                    await conn.execute("SET search_path TO pg_catalog")
                    await conn.execute(
                        'INSERT INTO with_asyncpg.item (worker, name)'
                        ' VALUES ($1, $2)', n, f'{t.name}/{turn}')
                    t.say('count', await conn.fetchval(
                        'SELECT count(*) FROM with_asyncpg.item'
                        ' WHERE name LIKE $1', f'{t.name}/%'))
                    t.say('work_mem', await conn.fetchval('SHOW work_mem'))
        except Exception as error:
            t.died(error)

    async with asyncpg.create_pool(
            min_size=4, max_size=4, setup=setup, server_settings={
                'search_path': 'with_asyncpg', 'timezone': 'Asia/Tokyo',
                'work_mem': '4MB', 'application_name': 'pooled'}) as pool:
        tasks = []
        for n in range(8):
            t = Transcript(f'pool {n}')
            transcripts.append(t)
            tasks.append(work(t, n))
        await asyncio.gather(*tasks)


async def part(function, *arguments, **options):
    try:
        await function(*arguments, **options)
    except Exception as error:
        t = Transcript(f'{function.__name__} {arguments[0] if arguments else ""}')
        transcripts.append(t)
        t.died(error)


async def main():
    await part(create)
    await part(in_turn, 'default')
    await part(in_turn, 'no cache', statement_cache_size=0)
    await part(prepared, 'prepared')
    for work in types, cursors_and_copy, nested, state:
        await part(side_by_side, work.__name__.replace('_', ' '), work)
    await part(side_by_side, 'few statements', few_statements,
               statement_cache_size=2)
    await part(listen)
    await part(pooled)


asyncio.run(main())
finish(transcripts)
