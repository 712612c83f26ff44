/*-------------------------------------------------------------------------
 *
 * stopping.h
 *	  Does the server shut down?
 *
 * Runs in: any process.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_STOPPING_H
#define POOLER_STOPPING_H

/*
 * Smart or fast: the postmaster tells that nobody but through a line of
 * postmaster.pid (pidfile.h), which it writes before it signals anybody.  Reads
 * that file.
 */
extern bool pooler_server_is_stopping(void);

#endif							/* POOLER_STOPPING_H */
