/*
 * WithJdbc.java
 *
 * PgJDBC at its ordinary work: statements that the server prepares at the
 * fifth use or at once, batches, generated keys, cursors by fetch size,
 * savepoints, COPY, large objects, notifications.
 */

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.*;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicInteger;

import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.PGStatement;
import org.postgresql.copy.CopyManager;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;

public class WithJdbc
{
	static final int SESSIONS = 5;
	static final int ROUNDS = 8;
	static final int TIMEOUT = 20000;
	static final String[] ZONES = {"Asia/Tokyo", "Europe/Paris",
		"America/Lima", "UTC", "Africa/Cairo"};
	static final boolean ALONE =
		!"0".equals(System.getenv("DRIVERS_ALONE"));

	static final List<Session> sessions =
		Collections.synchronizedList(new ArrayList<>());
	static final AtomicInteger failures = new AtomicInteger();

	interface Work
	{
		void run(Session s) throws Exception;
	}

	interface Step
	{
		void run() throws Exception;
	}

	static void complain(String text)
	{
		failures.incrementAndGet();
		System.err.println(text);
	}

	/* A transcript, and most often a connection with settings that no other
	 * has. */
	static class Session
	{
		final String name;
		final int number;
		final List<String> lines = new ArrayList<>();
		Connection conn;

		Session(String part, int number)
		{
			this.name = part + " " + number;
			this.number = number;
			sessions.add(this);
		}

		static Session open(String part, int number, String... options)
			throws SQLException
		{
			Session s = new Session(part, number);

			s.conn = connect(options);
			s.execute("SET search_path TO with_jdbc");
			s.execute("SET TIME ZONE '" + ZONES[number] + "'");
			s.row("SELECT set_config('app.user_id', ?, false)", "" + number);
			return s;
		}

		void say(String label, Object value)
		{
			String text = String.valueOf(value).replace("\n", "\\n");

			if (text.length() > 300)
				text = text.substring(0, 40) + "... " + text.length() + " " +
					text.hashCode();
			lines.add(name + ": " + label + ": " + text);
		}

		void expect(String label, Object got, Object wanted)
		{
			say(label, got);
			if (!String.valueOf(got).equals(String.valueOf(wanted)))
				complain(name + ": " + label + ": got " + got + ", expected " +
						 wanted);
		}

		void died(Exception e)
		{
			String last = lines.isEmpty() ? "" : lines.get(lines.size() - 1);

			lines.add(name + ": died");
			complain(name + ": " + e + " at " + place(e) + " (after \"" + last + "\")");
		}

		/* The line of this program. */
		String place(Exception e)
		{
			for (StackTraceElement frame : e.getStackTrace())
				if (frame.getClassName().startsWith("WithJdbc"))
					return frame.toString();
			return "somewhere";
		}

		/* An error with this code; the connection is usable afterwards. */
		void fails(String label, String wanted, Step step) throws Exception
		{
			try
			{
				step.run();
				expect(label + ": code", null, wanted);
			}
			catch (SQLException e)
			{
				say(label, e.getMessage().split("\n")[0]);
				expect(label + ": code", e.getSQLState(), wanted);
			}
		}

		void execute(String sql) throws SQLException
		{
			try (Statement st = conn.createStatement())
			{
				st.execute(sql);
			}
		}

		/* The rows of a query with parameters, as text. */
		String row(String sql, Object... parameters) throws SQLException
		{
			try (PreparedStatement st = conn.prepareStatement(sql))
			{
				set(st, parameters);
				return rows(st.executeQuery());
			}
		}

		int update(String sql, Object... parameters) throws SQLException
		{
			try (PreparedStatement st = conn.prepareStatement(sql))
			{
				set(st, parameters);
				return st.executeUpdate();
			}
		}

		/* Whatever happened, these are still this session's. */
		void check(String label) throws SQLException
		{
			expect(label, row("SELECT current_setting('app.user_id'),"
							  + " current_setting('TimeZone'), current_schema()"),
				   "(" + number + "," + ZONES[number] + ",with_jdbc)");
			expect("TimeZone as reported",
				   conn.unwrap(PGConnection.class).getParameterStatus("TimeZone"),
				   ZONES[number]);
		}
	}

	static void set(PreparedStatement st, Object... parameters)
		throws SQLException
	{
		for (int i = 0; i < parameters.length; i++)
			st.setObject(i + 1, parameters[i]);
	}

	static String rows(ResultSet rs) throws SQLException
	{
		StringBuilder text = new StringBuilder();
		int columns = rs.getMetaData().getColumnCount();

		while (rs.next())
		{
			text.append("(");
			for (int i = 1; i <= columns; i++)
				text.append(i > 1 ? "," : "").append(
					rs.getMetaData().getColumnType(i) == Types.BINARY ?
					Arrays.toString(rs.getBytes(i)) : rs.getString(i));
			text.append(")");
		}
		return text.toString();
	}

	static Connection connect(String... options) throws SQLException
	{
		StringBuilder url = new StringBuilder("jdbc:postgresql://" +
			System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" +
			System.getenv("PGDATABASE") + "?user=" + System.getenv("PGUSER"));

		for (String option : options)
			url.append("&").append(option);
		return DriverManager.getConnection(url.toString());
	}

	static void create() throws SQLException
	{
		try (Connection conn = connect(); Statement st = conn.createStatement())
		{
			st.execute("CREATE SCHEMA with_jdbc; SET search_path TO with_jdbc;"
				+ " CREATE TABLE item (id bigserial PRIMARY KEY,"
				+ " worker int NOT NULL, name text UNIQUE, price numeric,"
				+ " at timestamptz, tags text[], raw bytea, doc jsonb);"
				+ " CREATE FUNCTION twice(i int) RETURNS int LANGUAGE sql"
				+ " AS 'SELECT 2 * i';"
				+ " CREATE FUNCTION parts(i int, OUT half int, OUT rest int)"
				+ " LANGUAGE sql AS 'SELECT i / 2, i % 2';"
				+ " CREATE PROCEDURE add(w int, n text, INOUT total int)"
				+ " LANGUAGE plpgsql AS $$BEGIN"
				+ " INSERT INTO item (worker, name) VALUES (w, n); COMMIT;"
				+ " RAISE NOTICE 'added %', n; total := total + 1; END$$");
			for (int n = 0; n < SESSIONS; n++)
				st.execute("CREATE TABLE shape_" + n + " (a int)");
		}
	}

	/* Every transaction finds another session's backend. */
	static void inTurn(String part, String... options) throws Exception
	{
		List<Session> mine = new ArrayList<>();
		List<PreparedStatement> kept = new ArrayList<>();

		for (int n = 0; n < SESSIONS; n++)
		{
			Session s = Session.open(part, n, options);

			mine.add(s);
			kept.add(s.conn.prepareStatement(
				"SELECT ?::int + " + n + ", count(*), max(name) FROM item"
				+ " WHERE worker = ? AND name LIKE ?"));
		}
		for (int i = 0; i < ROUNDS; i++)
			for (Session s : mine)
			{
				int turn = i;

				attempt(s, one -> oneRound(one, turn, kept.get(one.number)));
			}
		for (Session s : mine)
		{
			attempt(s, WithJdbc::whatIsPrepared);
			s.conn.close();
		}
	}

	/* With an error, the session ends, and the others go on. */
	static void attempt(Session s, Work work) throws SQLException
	{
		if (s.conn.isClosed())
			return;
		try
		{
			work.run(s);
		}
		catch (Exception e)
		{
			s.died(e);
			s.conn.close();
		}
	}

	static void whatIsPrepared(Session s) throws SQLException
	{
		collectGarbage(s);
		for (String line : s.row("SELECT name, statement, from_sql,"
				+ " parameter_types::text, E'\n' FROM pg_prepared_statements"
				+ " ORDER BY name").split("\n\\)"))
			s.say("prepared", line);
	}

	/*
	 * The driver closes what it has prepared for a Statement, here each SET and
	 * ALTER, when the garbage collector has found it and something else is said
	 * to the server.  Nobody knows when that is, so have it done.
	 */
	static void collectGarbage(Session s) throws SQLException
	{
		long start = System.nanoTime();
		String left;

		try (PreparedStatement st = s.conn.prepareStatement("SELECT count(*) FROM"
				+ " pg_prepared_statements WHERE statement ~ '^(SET|ALTER) '"))
		{
			/* the same, however often it is asked */
			st.unwrap(PGStatement.class).setPrepareThreshold(1);
			do
			{
				System.gc();
				left = rows(st.executeQuery());
			} while (!left.equals("(0)") &&
					 System.nanoTime() - start < TIMEOUT * 1000000L);
		}
		s.expect("neither collected nor in use", left, "(0)");
	}

	static void oneRound(Session s, int turn, PreparedStatement kept)
		throws Exception
	{
		int n = s.number;

		s.check("round " + turn);
		try (PreparedStatement st = s.conn.prepareStatement(
				 "INSERT INTO item (worker, name, price, at) VALUES (?, ?, ?, ?)",
				 Statement.RETURN_GENERATED_KEYS))
		{
			set(st, n, s.name + "/" + turn, new BigDecimal("1.50"),
				new Timestamp(1700000000000L));
			st.executeUpdate();
			s.say("inserted", rows(st.getGeneratedKeys()));
		}
		set(kept, turn, n, s.name + "/%");
		s.say("kept", rows(kept.executeQuery()));
		/* Parse, Describe, Sync; the rest follows later or never */
		s.say("parameters",
			  kept.getParameterMetaData().getParameterTypeName(3) + " " +
			  kept.getMetaData().getColumnName(3));
		if (turn % 3 == 1)
		{
			s.conn.setAutoCommit(false);
			s.execute("SET LOCAL TIME ZONE 'Asia/Kolkata'");
			s.execute("SET LOCAL app.user_id = 'nobody'");
			s.say("local", s.row("SELECT current_setting('app.user_id'), at::text"
								 + " FROM item WHERE name = ?", s.name + "/0"));
			s.conn.commit();
			s.conn.setAutoCommit(true);
		}
		if (turn % 3 == 2)
		{
			s.conn.setAutoCommit(false);
			s.execute("SET search_path TO pg_catalog");
			s.execute("SET TIME ZONE 'Asia/Kolkata'");
			s.update("DELETE FROM with_jdbc.item WHERE worker = ?", n);
			s.conn.rollback();
			s.conn.setAutoCommit(true);
		}
		s.fails("duplicate", "23505",
				() -> s.update("INSERT INTO item (worker, name) VALUES (?, ?)",
							   n, s.name + "/0"));
		if (turn == ROUNDS - 2)
			reshape(s);
	}

	/*
	 * A table changes under a statement that is prepared: inside a transaction
	 * it is an error, after which the driver prepares it again.
	 */
	static void reshape(Session s) throws Exception
	{
		String sql = "SELECT * FROM shape_" + s.number + " WHERE a > ?";

		for (int i = 0; i < 6; i++)
			s.row(sql, 0);
		s.execute("ALTER TABLE shape_" + s.number + " ADD COLUMN b" +
				  sessions.size() + " int");
		s.conn.setAutoCommit(false);
		s.row("SELECT 1");
		try
		{
			s.row(sql, 0);
			s.say("result type", "no error");
		}
		catch (SQLException e)
		{
			s.say("result type", e.getSQLState() + " " + e.getMessage());
		}
		s.conn.rollback();
		s.conn.setAutoCommit(true);
		try (PreparedStatement st = s.conn.prepareStatement(sql))
		{
			st.setInt(1, 0);
			s.say("shape", st.executeQuery().getMetaData().getColumnCount());
		}
	}

	/* All sessions at once, each in a thread. */
	static void sideBySide(String part, Work work, String... options)
		throws Exception
	{
		List<Session> mine = new ArrayList<>();

		List<Thread> threads = new ArrayList<>();

		for (int n = 0; n < SESSIONS; n++)
			mine.add(Session.open(part, n, options));
		for (Session s : mine)
		{
			Thread thread = new Thread(() -> {
				try
				{
					attempt(s, work);
					s.conn.close();
				}
				catch (SQLException e)
				{
					s.died(e);
				}
			});

			thread.start();
			threads.add(thread);
		}
		for (Thread thread : threads)
			thread.join();
	}

	static void batches(Session s) throws Exception
	{
		for (int turn = 0; turn < 3; turn++)
		{
			try (PreparedStatement st = s.conn.prepareStatement(
					 "INSERT INTO item (worker, name, price) VALUES (?, ?, ?)",
					 new String[] {"name"}))
			{
				for (int i = 0; i < 300; i++)
				{
					set(st, s.number, s.name + "/" + turn + "/" + i, new BigDecimal(i));
					st.addBatch();
				}
				s.say("batch", Arrays.stream(st.executeBatch()).sum());
				s.say("keys", rows(st.getGeneratedKeys()));
			}
			try (PreparedStatement st = s.conn.prepareStatement(
					 "UPDATE item SET price = price + ? WHERE name = ?");
				 Statement mixed = s.conn.createStatement())
			{
				for (int i = 0; i < 300; i++)
				{
					set(st, new BigDecimal(turn), s.name + "/" + turn + "/" + i);
					st.addBatch();
				}
				s.say("updates", Arrays.stream(st.executeBatch()).sum());
				mixed.addBatch("SET app.batch = " + turn);
				mixed.addBatch("DELETE FROM item WHERE name LIKE '" + s.name + "/" + turn + "/1_'");
				s.say("mixed", Arrays.toString(mixed.executeBatch()));
			}
			brokenBatch(s, turn);
			s.expect("set in a batch", s.row("SHOW app.batch"), "(" + turn + ")");
			s.say("sum", s.row("SELECT count(*), sum(price) FROM item"
							   + " WHERE name LIKE ?", s.name + "/%"));
			s.check("settings");
		}
	}

	static void brokenBatch(Session s, int turn) throws Exception
	{
		try (PreparedStatement st = s.conn.prepareStatement(
				 "INSERT INTO item (worker, name) VALUES (?, ?)"))
		{
			for (int i = 0; i < 40; i++)
			{
				set(st, s.number, s.name + "/" + turn + "/broken " + i % 30);
				st.addBatch();
			}
			s.fails("broken batch", "23505", () -> {
				try
				{
					st.executeBatch();
				}
				catch (BatchUpdateException e)
				{
					throw e.getNextException();
				}
			});
		}
	}

	static void cursorsAndCopy(Session s) throws Exception
	{
		CopyManager copy = s.conn.unwrap(PGConnection.class).getCopyAPI();

		for (int turn = 0; turn < 2; turn++)
		{
			StringBuilder data = new StringBuilder();
			StringWriter out = new StringWriter();

			for (int i = 0; i < 3000; i++)
				data.append(s.number + "\t" + s.name + "/" + turn + "/" + i + "\t" + i + "\n");
			s.say("copied in", copy.copyIn("COPY item (worker, name, price) FROM STDIN",
										   new StringReader(data.toString())));
			s.say("copied out", copy.copyOut("COPY (SELECT name, price FROM item"
				+ " WHERE name LIKE '" + s.name + "/%' ORDER BY id) TO STDOUT", out));
			s.say("copied out", out.toString());
			s.fails("bad copy", "22P02", () -> copy.copyIn(
				"COPY item (worker, name) FROM STDIN",
				new ByteArrayInputStream("a\tb\n".getBytes())));
			s.conn.setAutoCommit(false);
			try (PreparedStatement st = s.conn.prepareStatement(
					 "SELECT name, price FROM item WHERE name LIKE ? ORDER BY id"))
			{
				long sum = 0;

				st.setFetchSize(100);
				st.setString(1, s.name + "/" + turn + "/%");
				try (ResultSet rs = st.executeQuery())
				{
					while (rs.next())
						sum += rs.getLong(2);
				}
				s.say("by fetch size", sum);
			}
			s.conn.commit();
			s.conn.setAutoCommit(true);
			updatable(s, turn);
			s.check("settings");
		}
	}

	static void updatable(Session s, int turn) throws SQLException
	{
		try (PreparedStatement st = s.conn.prepareStatement(
				 "SELECT id, worker, name, price FROM with_jdbc.item"
				 + " WHERE name LIKE ? ORDER BY id",
				 ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE))
		{
			st.setString(1, s.name + "/" + turn + "/1_");
			try (ResultSet rs = st.executeQuery())
			{
				rs.absolute(5);
				rs.updateInt("price", -1);
				rs.updateRow();
				rs.last();
				s.say("scrolled", rs.getRow() + " " + rs.getString(3));
			}
		}
		s.say("updated", s.row("SELECT name FROM item WHERE price = -1"
							   + " AND name LIKE ? ORDER BY id", s.name + "/%"));
	}

	static void transactions(Session s) throws Exception
	{
		for (int turn = 0; turn < 3; turn++)
		{
			String name = s.name + "/" + turn;

			s.conn.setAutoCommit(false);
			s.update("INSERT INTO item (worker, name) VALUES (?, ?)", s.number, name);
			Savepoint point = s.conn.setSavepoint("before");
			s.fails("in a savepoint", "23505", () -> s.update(
				"INSERT INTO item (worker, name) VALUES (?, ?)", s.number, name));
			s.conn.rollback(point);
			s.update("UPDATE item SET price = 1 WHERE name = ?", name);
			s.conn.commit();

			s.conn.setReadOnly(true);
			s.conn.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
			s.say("level", s.row("SELECT current_setting('transaction_isolation'),"
								 + " current_setting('transaction_read_only')"));
			s.fails("read only", "25006", () -> s.execute("CREATE TABLE never (i int)"));
			s.conn.rollback();
			s.conn.setReadOnly(false);
			s.conn.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
			s.conn.setAutoCommit(true);
			/* these two are settings of the session: a dozen transactions later
			 * they still hold */
			for (int i = 0; i < 12; i++)
				s.expect("level", s.row("SHOW transaction_isolation"), "(repeatable read)");
			s.expect("level", s.conn.getTransactionIsolation(),
					 Connection.TRANSACTION_REPEATABLE_READ);
			s.conn.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
			s.say("rows", s.row("SELECT name, price FROM item WHERE name LIKE ?"
								+ " ORDER BY id", s.name + "/%"));
			s.conn.setSchema("pg_catalog");
			s.expect("schema", s.conn.getSchema(), "pg_catalog");
			s.conn.setSchema("with_jdbc");
			s.conn.setClientInfo("ApplicationName", "session " + s.number);
			s.row("SELECT 1");
			s.expect("application name", s.row("SHOW application_name"),
					 "(session " + s.number + ")");
			s.check("settings");
		}
	}

	static void autosave(Session s) throws Exception
	{
		s.conn.setAutoCommit(false);
		for (int turn = 0; turn < 6; turn++)
		{
			String name = s.name + "/" + turn;

			s.update("INSERT INTO item (worker, name) VALUES (?, ?)", s.number, name);
			s.fails("forgiven", "23505", () -> s.update(
				"INSERT INTO item (worker, name) VALUES (?, ?)", s.number, name));
			s.fails("forgiven", "22012", () -> s.row("SELECT 1 / ?", 0));
			s.check("settings");
			s.conn.commit();
		}
		s.say("rows", s.row("SELECT name FROM item WHERE name LIKE ? ORDER BY id",
							s.name + "/%"));
		s.conn.commit();
		s.conn.setAutoCommit(true);
	}

	static void calls(Session s) throws Exception
	{
		for (int turn = 0; turn < 6; turn++)
		{
			try (CallableStatement call = s.conn.prepareCall("{? = call twice(?)}"))
			{
				call.registerOutParameter(1, Types.INTEGER);
				call.setInt(2, turn + s.number);
				call.execute();
				s.expect("twice", call.getInt(1), 2 * (turn + s.number));
			}
			try (CallableStatement call = s.conn.prepareCall("{call parts(?, ?, ?)}"))
			{
				call.setInt(1, 7 + turn);
				call.registerOutParameter(2, Types.INTEGER);
				call.registerOutParameter(3, Types.INTEGER);
				call.execute();
				s.say("parts", call.getInt(2) + " " + call.getInt(3));
			}
			try (CallableStatement call = s.conn.prepareCall("CALL add(?, ?, ?)"))
			{
				call.setInt(1, s.number);
				call.setString(2, s.name + "/" + turn);
				call.setInt(3, turn);
				call.registerOutParameter(3, Types.INTEGER);
				call.execute();
				s.say("procedure", call.getInt(3) + " " + call.getWarnings());
			}
			s.say("catalog", catalog(s));
			s.check("settings");
		}
	}

	static String catalog(Session s) throws SQLException
	{
		DatabaseMetaData meta = s.conn.getMetaData();
		StringBuilder text = new StringBuilder();

		try (ResultSet rs = meta.getColumns(null, "with_jdbc", "item", null))
		{
			while (rs.next())
				text.append(rs.getString("COLUMN_NAME") + " " + rs.getString("TYPE_NAME") + ";");
		}
		try (ResultSet rs = meta.getPrimaryKeys(null, "with_jdbc", "item"))
		{
			while (rs.next())
				text.append(rs.getString("PK_NAME"));
		}
		return text.toString();
	}

	static void values(Session s) throws Exception
	{
		byte[] big = new byte[3000000];

		for (int i = 0; i < big.length; i++)
			big[i] = (byte) (i * 7 + s.number);
		for (int turn = 0; turn < 6; turn++)
		{
			try (PreparedStatement st = s.conn.prepareStatement(
					 "INSERT INTO item (worker, name, price, at, tags, raw, doc)"
					 + " VALUES (?, ?, ?, ?, ?, ?, ?::jsonb)"
					 + " RETURNING name, price, at::text, tags, raw, doc"))
			{
				set(st, s.number, s.name + "/" + turn, new BigDecimal("12.340"),
					new Timestamp(1700000000000L));
				st.setArray(5, s.conn.createArrayOf("text", new String[] {"a", "b,c", null}));
				st.setBytes(6, new byte[] {0, 1, -1});
				st.setString(7, "{\"a\": [1, null]}");
				s.say("row", rows(st.executeQuery()));
			}
			s.fails("division", "22012", () -> s.row("SELECT 1 / ?", 0));
		}
		try (PreparedStatement st = s.conn.prepareStatement("SELECT ?::bytea"))
		{
			st.setBytes(1, big);
			try (ResultSet rs = st.executeQuery())
			{
				rs.next();
				s.expect("3 MB there and back", Arrays.equals(rs.getBytes(1), big), true);
			}
		}
		s.fails("timeout", "57014", () -> {
			try (Statement st = s.conn.createStatement())
			{
				st.setQueryTimeout(1);
				st.execute("SELECT pg_sleep(60)");
			}
		});
		s.check("settings");
		largeObject(s, big);
		s.check("settings");
	}

	/* By fastpath calls. */
	static void largeObject(Session s, byte[] data) throws Exception
	{
		LargeObjectManager manager = s.conn.unwrap(PGConnection.class).getLargeObjectAPI();
		ByteArrayOutputStream out = new ByteArrayOutputStream();

		s.conn.setAutoCommit(false);
		long oid = manager.createLO();
		try (LargeObject object = manager.open(oid))
		{
			object.write(data);
		}
		s.conn.commit();
		try (LargeObject object = manager.open(oid))
		{
			object.getInputStream().transferTo(out);
		}
		s.expect("large object", Arrays.equals(out.toByteArray(), data), true);
		manager.delete(oid);
		s.conn.commit();
		s.conn.setAutoCommit(true);
	}

	/* What can't travel: the backend has to stay. */
	static void state(Session s) throws Exception
	{
		s.execute("CREATE TEMP TABLE scratch (i int, t text"
				  + " DEFAULT current_setting('app.user_id'))");
		for (int turn = 0; turn < 10; turn++)
		{
			s.update("INSERT INTO scratch VALUES (?)", turn * 10 + s.number);
			s.say("scratch", s.row("SELECT count(*), sum(i), min(t), max(t) FROM scratch"));
		}
		s.execute("DROP TABLE scratch");
		s.row("SELECT pg_advisory_lock(?)", 4711);
		for (int turn = 0; turn < 3; turn++)
			s.row("SELECT 1");
		s.expect("unlock", s.row("SELECT pg_advisory_unlock(?)", 4711), "(t)");
		s.execute("CREATE SEQUENCE own_" + s.number + " START 100");
		s.say("nextval", s.row("SELECT nextval(?::regclass)", "own_" + s.number));
		s.expect("currval", s.row("SELECT currval(?::regclass), lastval()",
								  "own_" + s.number), "(100,100)");
		s.check("settings");
		s.conn.close();
	}

	static void listen() throws Exception
	{
		Session listener = Session.open("listen", 0);
		Session notifier = ALONE ? Session.open("listen", 1) : listener;
		PGConnection pg = listener.conn.unwrap(PGConnection.class);
		int pid = notifier.conn.unwrap(PGConnection.class).getBackendPID();

		if (ALONE)
			sessions.remove(notifier);
		listener.execute("LISTEN jdbc_news");
		for (int i = 0; i < 3; i++)
		{
			notifier.row("SELECT pg_notify('jdbc_news', ?)", "news " + i);
			PGNotification[] got = pg.getNotifications(TIMEOUT);
			listener.expect("notification", got == null || got.length == 0 ? null :
							got[0].getName() + " " + got[0].getParameter() + " " +
							(got[0].getPID() == pid),
							"jdbc_news news " + i + " true");
		}
		listener.execute("UNLISTEN *");
		listener.say("channels", listener.row("SELECT pg_listening_channels()"));
		listener.check("settings");
		listener.conn.close();
		notifier.conn.close();
	}

	static void part(String name, Step step)
	{
		try
		{
			step.run();
		}
		catch (Exception e)
		{
			new Session(name, 0).died(e);
		}
	}

	public static void main(String[] args)
	{
		part("create", () -> create());
		part("default", () -> inTurn("default"));
		part("at once", () -> inTurn("at once", "prepareThreshold=1"));
		part("options", () -> inTurn("options", "prepareThreshold=1",
			"currentSchema=with_jdbc", "ApplicationName=drivers", "autosave=conservative",
			"options=-c%20work_mem=5MB%20-c%20app.option=x"));
		part("simple", () -> inTurn("simple", "preferQueryMode=simple"));
		part("forced binary", () -> inTurn("forced binary", "prepareThreshold=-1"));
		part("batches", () -> sideBySide("batches", WithJdbc::batches));
		part("batches, rewritten", () -> sideBySide("batches, rewritten",
			WithJdbc::batches, "reWriteBatchedInserts=true", "prepareThreshold=1"));
		part("cursors and copy", () -> sideBySide("cursors and copy",
			WithJdbc::cursorsAndCopy, "prepareThreshold=1"));
		part("transactions", () -> sideBySide("transactions",
			WithJdbc::transactions, "prepareThreshold=1"));
		part("autosave", () -> sideBySide("autosave", WithJdbc::autosave,
			"autosave=always", "prepareThreshold=1"));
		part("calls", () -> sideBySide("calls", WithJdbc::calls));
		part("values", () -> sideBySide("values", WithJdbc::values));
		part("state", () -> sideBySide("state", WithJdbc::state,
			"prepareThreshold=1"));
		part("listen", () -> listen());

		for (Session s : sessions)
			for (String line : s.lines)
				System.out.println(line);
		System.out.println("end");
		System.exit(failures.get() == 0 ? 0 : 1);
	}
}
