/*
 * TlsJdbc.java
 *
 * PgJDBC by TLS; see tls_psycopg.py.  Versions before 42.7.4 do not know
 * channelBinding, and ignore it.
 */

import java.sql.*;
import java.util.Properties;

public class TlsJdbc
{
	static Connection connect() throws SQLException
	{
		Properties properties = new Properties();

		properties.setProperty("user", System.getenv("PGUSER"));
		properties.setProperty("password", System.getenv("PGPASSWORD"));
		properties.setProperty("sslmode", System.getenv("PGSSLMODE"));
		properties.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
		properties.setProperty("channelBinding", "require");
		properties.setProperty("prepareThreshold", "1");
		return DriverManager.getConnection("jdbc:postgresql://" +
			System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" +
			System.getenv("PGDATABASE"), properties);
	}

	static String first(PreparedStatement statement) throws SQLException
	{
		try (ResultSet rows = statement.executeQuery())
		{
			rows.next();
			return rows.getString(1);
		}
	}

	public static void main(String[] args) throws SQLException
	{
		try (Connection connection = connect();
			PreparedStatement query = connection.prepareStatement(
				"SELECT ssl::text FROM pg_stat_ssl" +
				" WHERE pid = pg_backend_pid() AND ?::int > 0");
			PreparedStatement insert = connection.prepareStatement(
				"INSERT INTO seen VALUES ('jdbc')");
			PreparedStatement count = connection.prepareStatement(
				"SELECT count(*) FROM seen WHERE driver = 'jdbc'"))
		{
			String ssl = null;

			for (int number = 1; number < 4; number++)
			{
				query.setInt(1, number);
				ssl = first(query);
			}
			connection.setAutoCommit(false);
			insert.executeUpdate();
			String n = first(count);
			connection.commit();
			System.out.println(ssl + " " + n);
		}
	}
}
