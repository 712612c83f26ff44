/*-------------------------------------------------------------------------
 *
 * version.h
 *	  Do the library and the SQL objects of a database fit?
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_SQL_VERSION_H
#define POOLER_SQL_VERSION_H

/*
 * The version of the SQL objects that the library needs: default_version of
 * pooler.control.  How it is raised stands in src/README.md.
 */
#define POOLER_VERSION	"1.0"

/*
 * What each SQL function does first that reads or changes the pooler's state.
 * Raises ERROR 55000 if there is no shared memory, or if the extension that
 * is installed in this database has another version, and says what to do.
 * Must be called inside a transaction.
 */
extern void pooler_require_version(void);

#endif							/* POOLER_SQL_VERSION_H */
