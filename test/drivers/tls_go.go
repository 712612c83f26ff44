// tls_go.go DRIVER
//
// pgx, or lib/pq (as "postgres"), by TLS and through database/sql; see
// tls_psycopg.py.

package main

import (
	"database/sql"
	"fmt"
	"os"

	_ "github.com/jackc/pgx/v4/stdlib"
	_ "github.com/lib/pq"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	driver := os.Args[1]
	var ssl string
	var count int

	db, err := sql.Open(driver, "")
	check(err)
	query, err := db.Prepare(`SELECT ssl::text FROM pg_stat_ssl
		WHERE pid = pg_backend_pid() AND $1::int > 0`)
	check(err)
	for number := 1; number < 4; number++ {
		check(query.QueryRow(number).Scan(&ssl))
	}
	tx, err := db.Begin()
	check(err)
	_, err = tx.Exec("INSERT INTO seen VALUES ('go ' || $1)", driver)
	check(err)
	check(tx.QueryRow("SELECT count(*) FROM seen WHERE driver = 'go ' || $1",
		driver).Scan(&count))
	check(tx.Commit())
	check(db.Close())
	fmt.Println(ssl, count)
}
