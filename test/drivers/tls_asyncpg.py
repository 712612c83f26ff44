# tls_asyncpg.py
#
# asyncpg by TLS; see tls_psycopg.py.

import asyncio

import asyncpg


async def main():
    conn = await asyncpg.connect()
    query = await conn.prepare('SELECT ssl::text FROM pg_stat_ssl'
                               ' WHERE pid = pg_backend_pid() AND $1::int > 0')
    for number in range(1, 4):
        ssl = await query.fetchval(number)
    async with conn.transaction():
        await conn.execute("INSERT INTO seen VALUES ('asyncpg')")
        count = await conn.fetchval('SELECT count(*) FROM seen'
                                    ' WHERE driver = $1', 'asyncpg')
    print(ssl, count)
    await conn.close()

asyncio.run(main())
