/*
 * LeakJdbc.java HOW
 *
 * PgJDBC in programs that do not give back what they have taken, and in one
 * that does; see leak_psycopg.py.
 */

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.sql.*;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ThreadLocalRandom;

public class LeakJdbc
{
	static final List<AutoCloseable> never = new ArrayList<>();
	static String how;

	static Connection connect(String... more) throws SQLException
	{
		Properties p = new Properties();
		p.setProperty("user", System.getenv("PGUSER"));
		p.setProperty("ApplicationName", "leak jdbc " + how);
		for (int i = 0; i < more.length; i += 2)
			p.setProperty(more[i], more[i + 1]);
		return DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" +
			System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE"), p);
	}

	static int pidOf(Connection conn) throws SQLException
	{
		try (Statement s = conn.createStatement();
			 ResultSet r = s.executeQuery("SELECT pg_backend_pid()"))
		{
			r.next();
			return r.getInt(1);
		}
	}

	/* A few rows of each result are enough for it. */
	static Connection keepsCursors() throws SQLException
	{
		Connection conn = connect();
		conn.setAutoCommit(false);
		for (int i = 0; i < 6; i++)
		{
			PreparedStatement s = conn.prepareStatement(
				"SELECT id FROM accounts WHERE id > ? ORDER BY id");
			s.setFetchSize(10);
			s.setInt(1, i);
			ResultSet r = s.executeQuery();
			r.next();
			never.add(s);
			never.add(r);
		}
		return conn;
	}

	/* Each text is another one, since the values stand in it. */
	static Connection keepsStatements() throws SQLException
	{
		Connection conn = connect("prepareThreshold", "1");
		for (int i = 0; i < 30; i++)
		{
			PreparedStatement s = conn.prepareStatement(
				"SELECT balance FROM accounts WHERE id = " + i + " AND id <> ?");
			s.setInt(1, -1);
			s.executeQuery().next();
			never.add(s);
		}
		return conn;
	}

	static void leak(Connection conn) throws Exception
	{
		System.out.println("leaking " + pidOf(conn));
		new BufferedReader(new InputStreamReader(System.in)).readLine();
		try (Statement s = conn.createStatement())
		{
			s.execute("SELECT 1");
			System.out.println("went on");
		}
		catch (SQLException e)
		{
			System.out.println("error: " + e.getMessage().replace('\n', ' '));
		}
	}

	/* As a pool of connections hands them out, one job each. */
	static void job(Connection conn) throws SQLException
	{
		conn.setAutoCommit(false);
		try (PreparedStatement s = conn.prepareStatement(
				"SELECT id FROM accounts WHERE id > ? ORDER BY id LIMIT 50"))
		{
			s.setFetchSize(10);
			s.setInt(1, ThreadLocalRandom.current().nextInt(900));
			try (ResultSet r = s.executeQuery())
			{
				while (r.next())
					r.getInt(1);
			}
		}
		try (PreparedStatement s = conn.prepareStatement(
				"UPDATE accounts SET balance = balance + 1 WHERE id = ?"))
		{
			s.setInt(1, 2 + ThreadLocalRandom.current().nextInt(900));
			s.executeUpdate();
		}
		conn.commit();
		conn.setAutoCommit(true);
	}

	static void sound() throws Exception
	{
		long until = System.currentTimeMillis() +
			1000 * Long.parseLong(System.getenv("SECONDS"));
		BlockingQueue<Connection> pool = new ArrayBlockingQueue<>(8);
		List<Thread> threads = new ArrayList<>();
		List<String> failures = new ArrayList<>();

		for (int i = 0; i < 8; i++)
			pool.add(connect());
		System.out.println("at work");
		for (int i = 0; i < 12; i++)
		{
			Thread t = new Thread(() -> {
				try
				{
					while (System.currentTimeMillis() < until)
					{
						Connection conn = pool.take();
						job(conn);
						pool.put(conn);
						Thread.sleep(5);
					}
				}
				catch (Exception e)
				{
					synchronized (failures)
					{
						failures.add(e.toString());
					}
				}
			});
			threads.add(t);
			t.start();
		}
		for (Thread t : threads)
			t.join();
		for (Connection conn : pool)
			conn.close();
		System.out.println(failures.isEmpty() ? "done" : String.join("; ", failures));
	}

	public static void main(String[] args) throws Exception
	{
		how = args[0];
		switch (how)
		{
			case "keeps_cursors":
				leak(keepsCursors());
				break;
			case "keeps_statements":
				leak(keepsStatements());
				break;
			default:
				sound();
		}
	}
}
