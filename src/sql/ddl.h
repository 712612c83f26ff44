/*-------------------------------------------------------------------------
 *
 * ddl.h
 *	  Commands that need a database without other sessions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_SQL_DDL_H
#define POOLER_SQL_DDL_H

/* Installs the hooks; from _PG_init. */
extern void pooler_ddl_init(void);

#endif							/* POOLER_SQL_DDL_H */
