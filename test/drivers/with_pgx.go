// with_pgx.go
//
// pgx at its ordinary work: a cache of prepared statements for each
// connection, batches, COPY, notifications, large objects, its own pool.

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

const (
	sessions = 5
	rounds   = 8
	timeout  = 20 * time.Second
)

var (
	zones = []string{"Asia/Tokyo", "Europe/Paris", "America/Lima", "UTC",
		"Africa/Cairo"}
	alone = os.Getenv("DRIVERS_ALONE") != "0"
	ctx   = context.Background()

	mutex       sync.Mutex
	failures    int
	transcripts []*transcript
)

func complain(text string) {
	mutex.Lock()
	defer mutex.Unlock()
	failures++
	fmt.Fprintln(os.Stderr, text)
}

// The lines of one session, kept until all sessions have ended: sessions run
// side by side, and their lines would mix.
type transcript struct {
	name  string
	lines []string
}

func newTranscript(name string) *transcript {
	t := &transcript{name: name}
	transcripts = append(transcripts, t)
	return t
}

func short(value interface{}) string {
	text := strings.ReplaceAll(fmt.Sprint(value), "\n", "\\n")
	if len(text) <= 300 {
		return text
	}
	return fmt.Sprintf("%s... %d %d", text[:40], len(text),
		crc32.ChecksumIEEE([]byte(text)))
}

func (t *transcript) say(label string, value interface{}) {
	t.lines = append(t.lines, t.name+": "+label+": "+short(value))
}

func (t *transcript) expect(label string, got, wanted interface{}) {
	t.say(label, got)
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		complain(fmt.Sprintf("%s: %s: got %s, expected %s", t.name, label,
			short(got), short(wanted)))
	}
}

// An error with this code.
func (t *transcript) fails(label, wanted string, err error) {
	var pgerr *pgconn.PgError
	if errors.As(err, &pgerr) {
		t.say(label, pgerr.Message)
		t.expect(label+": code", pgerr.Code, wanted)
	} else {
		t.expect(label+": code", err, wanted)
	}
}

// Errors that nobody expects end the session, or the part: see recovered().
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func recovered(t *transcript, work func()) (good bool) {
	defer func() {
		if problem := recover(); problem != nil {
			last := ""
			if len(t.lines) > 0 {
				last = t.lines[len(t.lines)-1]
			}
			t.lines = append(t.lines, t.name+": died")
			complain(fmt.Sprintf("%s: %v (after \"%s\")", t.name, problem, last))
		}
	}()
	work()
	return true
}

// With an error, the session ends, and the others go on.
func attempt(s *session, work func()) {
	if s.conn.IsClosed() {
		return
	}
	if !recovered(s.transcript, work) {
		s.close()
	}
}

// A connection with settings that no other has, and its transcript.
type session struct {
	*transcript
	number  int
	conn    *pgx.Conn
	notices []string
}

type options func(*pgx.ConnConfig)

func defaults(*pgx.ConnConfig) {}

func open(name string, number int, change options) *session {
	config, err := pgx.ParseConfig("")
	must(err)
	s := &session{transcript: newTranscript(fmt.Sprint(name, " ", number)),
		number: number}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		s.notices = append(s.notices, n.Severity+" "+n.Code+" "+n.Message)
	}
	change(config)
	s.conn, err = pgx.ConnectConfig(ctx, config)
	must(err)
	s.exec("SET search_path TO with_pgx")
	s.exec("SET TIME ZONE '" + zones[number] + "'")
	s.exec("SELECT set_config('app.user_id', $1, false)", fmt.Sprint(number))
	return s
}

func (s *session) close() {
	s.conn.Close(ctx)
}

func (s *session) exec(sql string, args ...interface{}) string {
	tag, err := s.conn.Exec(ctx, sql, args...)
	must(err)
	return tag.String()
}

func (s *session) execError(sql string, args ...interface{}) error {
	_, err := s.conn.Exec(ctx, sql, args...)
	return err
}

func collect(rows pgx.Rows, err error) (string, error) {
	var text strings.Builder
	if err != nil {
		return "", err
	}
	defer rows.Close()
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return "", err
		}
		fmt.Fprint(&text, values)
	}
	return text.String(), rows.Err()
}

func (s *session) rows(sql string, args ...interface{}) string {
	text, err := collect(s.conn.Query(ctx, sql, args...))
	must(err)
	return text
}

func (s *session) rowsError(sql string, args ...interface{}) error {
	_, err := collect(s.conn.Query(ctx, sql, args...))
	return err
}

// Whatever happened, these are still this session's.
func (s *session) check(label string) {
	s.expect(label, s.rows(`SELECT current_setting('app.user_id'),
		current_setting('TimeZone'), current_schema()`),
		fmt.Sprintf("[%d %s with_pgx]", s.number, zones[s.number]))
	s.expect("TimeZone as reported", s.conn.PgConn().ParameterStatus("TimeZone"),
		zones[s.number])
}

func create() {
	conn, err := pgx.Connect(ctx, "")
	must(err)
	_, err = conn.Exec(ctx, `
		CREATE SCHEMA with_pgx;
		SET search_path TO with_pgx;
		CREATE TABLE item (id bigserial PRIMARY KEY, worker int NOT NULL,
			name varchar(100) UNIQUE, price float8, at timestamptz,
			tags text[], raw bytea, doc jsonb)`)
	must(err)
	for n := 0; n < sessions; n++ {
		_, err = conn.Exec(ctx, fmt.Sprintf("CREATE TABLE with_pgx.shape_%d (a int)", n))
		must(err)
	}
	must(conn.Close(ctx))
}

// Every transaction finds another session's backend.
func inTurn(name string, change options) {
	var mine []*session
	for n := 0; n < sessions; n++ {
		s := open(name, n, change)
		// one name, and another text in each session
		attempt(s, func() {
			_, err := s.conn.Prepare(ctx, "own", fmt.Sprintf(
				"SELECT %d + $1::int, count(*) FROM item WHERE worker = $2 AND name LIKE $3", n))
			must(err)
		})
		mine = append(mine, s)
	}
	for turn := 0; turn < rounds; turn++ {
		for _, s := range mine {
			attempt(s, func() { s.oneRound(turn) })
		}
	}
	for _, s := range mine {
		attempt(s, s.whatIsPrepared)
		s.close()
	}
}

func (s *session) whatIsPrepared() {
	prepared := s.rows(`SELECT statement, from_sql, parameter_types::text, E'\n'
		FROM pg_prepared_statements ORDER BY statement`)
	for _, line := range strings.Split(strings.TrimSuffix(prepared, "\n]"), "\n]") {
		s.say("prepared", line)
	}
}

func (s *session) oneRound(turn int) {
	n := s.number
	insert := "INSERT INTO item (worker, name, at) VALUES ($1, $2, $3) RETURNING id, at::text"
	when := time.Unix(1700000000, 0)

	s.check(fmt.Sprint("round ", turn))
	s.say("own", s.rows("own", turn, n, s.name+"/%"))
	s.say("inserted", s.rows(insert, n, fmt.Sprint(s.name, "/", turn), when))
	if turn%3 == 1 {
		must(s.conn.BeginFunc(ctx, func(tx pgx.Tx) error {
			s.exec("SET LOCAL TIME ZONE 'Asia/Kolkata'")
			s.exec("SET LOCAL app.user_id = 'nobody'")
			s.say("local", s.rows(`SELECT current_setting('app.user_id'), at::text
				FROM item WHERE name = $1`, s.name+"/0"))
			return nil
		}))
	}
	if turn%3 == 2 {
		tx, err := s.conn.Begin(ctx)
		must(err)
		s.exec("SET search_path TO pg_catalog")
		s.exec("SET TIME ZONE 'Asia/Kolkata'")
		s.exec("DELETE FROM with_pgx.item WHERE worker = $1", n)
		must(tx.Rollback(ctx))
	}
	s.fails("duplicate", "23505",
		s.rowsError(insert, n, s.name+"/0", when))
	s.fails("no such table", "42P01", s.rowsError("SELECT * FROM nowhere WHERE a = $1", n))
	if turn == rounds-2 {
		s.reshape()
	}
}

// A table changes under a statement in the cache: an error, after which pgx
// prepares it again.
func (s *session) reshape() {
	query := fmt.Sprintf("SELECT * FROM shape_%d WHERE a > $1", s.number)
	s.rows(query, 0)
	s.exec(fmt.Sprintf("ALTER TABLE shape_%d ADD COLUMN b int", s.number))
	if err := s.rowsError(query, 0); err != nil {
		s.say("result type", err)
	}
	rows, err := s.conn.Query(ctx, query, 0)
	must(err)
	s.say("shape", len(rows.FieldDescriptions()))
	rows.Close()
	s.exec(fmt.Sprintf("ALTER TABLE shape_%d DROP COLUMN b", s.number))
}

// All sessions at once.
func sideBySide(name string, work func(*session)) {
	var mine []*session
	for n := 0; n < sessions; n++ {
		mine = append(mine, open(name, n, defaults))
	}
	var group sync.WaitGroup
	for _, s := range mine {
		group.Add(1)
		go func(s *session) {
			defer group.Done()
			attempt(s, func() { work(s) })
			s.close()
		}(s)
	}
	group.Wait()
}

func batches(s *session) {
	for turn := 0; turn < 4; turn++ {
		batch := &pgx.Batch{}
		for i := 0; i < 60; i++ {
			batch.Queue("INSERT INTO item (worker, name, price) VALUES ($1, $2, $3)",
				s.number, fmt.Sprintf("%s/%d/%d", s.name, turn, i), i)
			batch.Queue("SELECT $1::int * 2, current_setting('app.user_id')", i)
		}
		batch.Queue(fmt.Sprintf("SET app.batch = '%d'", turn))
		s.say("batch", s.send(batch, 121))
		s.expect("set in a batch", s.rows("SHOW app.batch"), fmt.Sprintf("[%d]", turn))

		// the error takes the whole batch with it, up to its Sync
		batch = &pgx.Batch{}
		for i := 5; i >= -5; i-- {
			batch.Queue("INSERT INTO item (worker, price) VALUES ($1, 1000 / $2::int)", s.number, i)
		}
		s.fails("broken batch", "22012", s.sendError(batch, 11))
		s.say("kept", s.rows("SELECT count(*), sum(price) FROM item WHERE worker = $1"+
			" AND (name LIKE $2 OR name IS NULL)", s.number, s.name+"/%"))
		s.check("settings")
	}
}

func (s *session) send(batch *pgx.Batch, count int) string {
	var text strings.Builder
	results := s.conn.SendBatch(ctx, batch)
	for i := 0; i < count; i++ {
		part, err := collect(results.Query())
		must(err)
		text.WriteString(part)
	}
	must(results.Close())
	return text.String()
}

func (s *session) sendError(batch *pgx.Batch, count int) error {
	var first error
	results := s.conn.SendBatch(ctx, batch)
	for i := 0; i < count; i++ {
		if _, err := results.Exec(); err != nil && first == nil {
			first = err
		}
	}
	results.Close()
	return first
}

func copies(s *session) {
	for turn := 0; turn < 2; turn++ {
		var in [][]interface{}
		for i := 0; i < 3000; i++ {
			in = append(in, []interface{}{int32(s.number), fmt.Sprintf("%s/%d/%d", s.name, turn, i), float64(i)})
		}
		columns := []string{"worker", "name", "price"}
		count, err := s.conn.CopyFrom(ctx, pgx.Identifier{"item"}, columns, pgx.CopyFromRows(in))
		must(err)
		s.say("copied in", count)
		_, err = s.conn.CopyFrom(ctx, pgx.Identifier{"item"}, columns, pgx.CopyFromRows(in))
		s.fails("copied again", "23505", err)
		var out bytes.Buffer
		tag, err := s.conn.PgConn().CopyTo(ctx, &out, fmt.Sprintf(
			"COPY (SELECT name, price FROM item WHERE name LIKE '%s/%%' ORDER BY id) TO STDOUT", s.name))
		must(err)
		s.say("copied out", tag)
		s.say("copied out", out.String())
		s.check("settings")
	}
}

func values(s *session) {
	big := make([]byte, 3000000)
	for i := range big {
		big[i] = byte(i*7 + s.number)
	}
	for turn := 0; turn < 3; turn++ {
		s.say("row", s.rows(`INSERT INTO item (worker, name, price, at, tags, raw, doc)
			VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING name, price, at::text, tags, raw, doc`,
			s.number, fmt.Sprint(s.name, "/", turn), 12.5, time.Unix(1700000000, 0),
			[]string{"a", "b,c"}, []byte{0, 1, 255}, map[string]int{"a": turn}))
		var back []byte
		must(s.conn.QueryRow(ctx, "SELECT $1::bytea", big).Scan(&back))
		s.expect("3 MB there and back", bytes.Equal(back, big), true)
		s.exec("DO $$BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two' USING ERRCODE = '01234'; END$$")
		s.say("notices", s.notices)
		s.notices = nil
		s.fails("timeout", "57014", s.execError("SET statement_timeout = '20ms'; SELECT pg_sleep(60)"))
		s.exec("SET statement_timeout = '30s'")
		s.largeObject(big)
		s.expect("statement_timeout", s.rows("SHOW statement_timeout"), "[30s]")
		s.check("settings")
	}
}

func (s *session) largeObject(data []byte) {
	tx, err := s.conn.Begin(ctx)
	must(err)
	objects := tx.LargeObjects()
	oid, err := objects.Create(ctx, 0)
	must(err)
	object, err := objects.Open(ctx, oid, pgx.LargeObjectModeWrite|pgx.LargeObjectModeRead)
	must(err)
	_, err = object.Write(data)
	must(err)
	position, err := object.Seek(-10, 2)
	must(err)
	tail := make([]byte, 10)
	_, err = object.Read(tail)
	must(err)
	s.say("large object", fmt.Sprint(position, tail))
	must(objects.Unlink(ctx, oid))
	must(tx.Commit(ctx))
}

func transactions(s *session) {
	for turn := 0; turn < 4; turn++ {
		name := fmt.Sprint(s.name, "/", turn)
		insert := "INSERT INTO item (worker, name) VALUES ($1, $2)"
		must(s.conn.BeginTxFunc(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
			s.say("level", s.rows("SHOW transaction_isolation"))
			s.exec(insert, s.number, name)
			nested, err := tx.Begin(ctx)
			must(err)
			s.fails("in a savepoint", "23505", s.execError(insert, s.number, name))
			must(nested.Rollback(ctx))
			s.exec("UPDATE item SET price = 1 WHERE name = $1", name)
			return nil
		}))
		err := s.conn.BeginFunc(ctx, func(tx pgx.Tx) error {
			s.exec("DELETE FROM item WHERE worker = $1", s.number)
			return errors.New("no")
		})
		s.say("given up", err)
		s.say("rows", s.rows("SELECT name, price FROM item WHERE name LIKE $1 ORDER BY id", s.name+"/%"))
		s.check("settings")
	}
}

// What can't travel: the backend has to stay.
func state(s *session) {
	s.exec("CREATE TEMP TABLE scratch (i int, t text DEFAULT current_setting('app.user_id'))")
	for turn := 0; turn < 10; turn++ {
		s.exec("INSERT INTO scratch VALUES ($1)", turn*10+s.number)
		s.say("scratch", s.rows("SELECT count(*), sum(i), min(t), max(t) FROM scratch"))
	}
	s.exec("DROP TABLE scratch")
	s.exec("SELECT pg_advisory_lock($1)", 4711)
	for turn := 0; turn < 3; turn++ {
		s.rows("SELECT 1")
	}
	s.expect("unlock", s.rows("SELECT pg_advisory_unlock($1)", 4711), "[true]")
	s.exec(fmt.Sprintf("CREATE SEQUENCE own_%d START 100", s.number))
	s.say("nextval", s.rows(fmt.Sprintf("SELECT nextval('own_%d')", s.number)))
	s.expect("currval", s.rows(fmt.Sprintf("SELECT currval('own_%d'), lastval()", s.number)), "[100 100]")
	s.check("settings")
}

func listen() {
	listener := open("listen", 0, defaults)
	notifier := listener
	if alone {
		notifier = open("listen", 1, defaults)
		transcripts = transcripts[:len(transcripts)-1] // not a part of it
	}
	listener.exec("LISTEN pgx_news")
	for i := 0; i < 3; i++ {
		notifier.exec("SELECT pg_notify('pgx_news', $1)", fmt.Sprint("news ", i))
		soon, cancel := context.WithTimeout(ctx, timeout)
		news, err := listener.conn.WaitForNotification(soon)
		cancel()
		must(err)
		listener.expect("notification", fmt.Sprint(news.Channel, " ", news.Payload, " ",
			news.PID == notifier.conn.PgConn().PID()),
			fmt.Sprintf("pgx_news news %d true", i))
	}
	listener.exec("UNLISTEN *")
	listener.say("channels", listener.rows("SELECT pg_listening_channels()"))
	listener.check("settings")
	listener.close()
	if alone {
		notifier.close()
	}
}

// pgx's own pool on top: four connections, eight users.
func pooled() {
	config, err := pgxpool.ParseConfig("pool_max_conns=4")
	must(err)
	config.ConnConfig.RuntimeParams["search_path"] = "with_pgx"
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SET app.user_id = 'pooled'")
		return err
	}
	pool, err := pgxpool.ConnectConfig(ctx, config)
	must(err)
	var group sync.WaitGroup
	for n := 0; n < 8; n++ {
		t := newTranscript(fmt.Sprint("pool ", n))
		group.Add(1)
		go func(n int) {
			defer group.Done()
			recovered(t, func() {
				for turn := 0; turn < 15; turn++ {
					usePool(t, pool, n, turn)
				}
			})
		}(n)
	}
	group.Wait()
	pool.Close()
}

func usePool(t *transcript, pool *pgxpool.Pool, n, turn int) {
	settings, err := collect(pool.Query(ctx, "SELECT current_schema(), current_setting('app.user_id')"))
	must(err)
	t.expect("settings", settings, "[with_pgx pooled]")
	must(pool.BeginFunc(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO item (worker, name) VALUES ($1, $2)",
			n, fmt.Sprint(t.name, "/", turn))
		return err
	}))
	// a query that takes too long ends its connection
	if turn%7 == 3 {
		soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		_, err := pool.Exec(soon, "SELECT pg_sleep(60)")
		cancel()
		t.expect("too long", err != nil, true)
	}
	count, err := collect(pool.Query(ctx, "SELECT count(*) FROM item WHERE name LIKE $1", t.name+"/%"))
	must(err)
	t.say("count", count)
}

func part(name string, work func()) {
	t := &transcript{name: name}
	recovered(t, work)
	if len(t.lines) > 0 {
		transcripts = append(transcripts, t)
	}
}

func main() {
	part("create", create)
	part("default", func() { inTurn("default", defaults) })
	part("options", func() {
		inTurn("options", func(config *pgx.ConnConfig) {
			config.RuntimeParams["work_mem"] = "5MB"
			config.RuntimeParams["application_name"] = "drivers"
			config.RuntimeParams["options"] = "-c app.option=x"
		})
	})
	part("simple", func() {
		inTurn("simple", func(config *pgx.ConnConfig) {
			config.PreferSimpleProtocol = true
		})
	})
	part("unnamed", func() {
		inTurn("unnamed", func(config *pgx.ConnConfig) {
			config.BuildStatementCache = nil
		})
	})
	part("batches", func() { sideBySide("batches", batches) })
	part("copies", func() { sideBySide("copies", copies) })
	part("values", func() { sideBySide("values", values) })
	part("transactions", func() { sideBySide("transactions", transactions) })
	part("state", func() { sideBySide("state", state) })
	part("listen", listen)
	part("pool", pooled)

	for _, t := range transcripts {
		for _, line := range t.lines {
			fmt.Println(line)
		}
	}
	fmt.Println("end")
	if failures > 0 {
		os.Exit(1)
	}
}
