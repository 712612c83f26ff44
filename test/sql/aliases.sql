-- pooler.aliases: what is refused, and what is taken.
ALTER SYSTEM SET pooler.aliases = 'app';
ALTER SYSTEM SET pooler.aliases = 'app =';
ALTER SYSTEM SET pooler.aliases = '= app';
ALTER SYSTEM SET pooler.aliases = 'a = b = c';
ALTER SYSTEM SET pooler.aliases = 'a = b c d';
ALTER SYSTEM SET pooler.aliases = 'a b = c';
ALTER SYSTEM SET pooler.aliases = 'a = b,';
ALTER SYSTEM SET pooler.aliases = 'a = b,, c = d';
ALTER SYSTEM SET pooler.aliases = '"a = b';
ALTER SYSTEM SET pooler.aliases = '"" = b';
ALTER SYSTEM SET pooler.aliases = 'a = b, A = c';
ALTER SYSTEM SET pooler.aliases = 'pgbouncer = b';
ALTER SYSTEM SET pooler.aliases = 'a = b, pooler = c';

-- Names are quoted and folded as in SQL, and spaces don't matter.
ALTER SYSTEM SET pooler.aliases = ' a=b , "A"="b""c" "D e",c-d = e f, "" "" = g ';
ALTER SYSTEM SET pooler.aliases = ' a=b , "A"="b""c" "D e",c-d = e f, "g, h"=i"j" ';
ALTER SYSTEM SET pooler.aliases = ' ';
ALTER SYSTEM RESET pooler.aliases;
