/*-------------------------------------------------------------------------
 *
 * text.h
 *	  Bytes that others have chosen, as text.
 *
 * Runs in: any process.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_TEXT_H
#define POOLER_TEXT_H

/*
 * Puts '?' in the place of each byte that does not belong to a character of
 * this encoding; the length stays.
 */
extern void pooler_make_valid_text(char *text, int encoding);

#endif							/* POOLER_TEXT_H */
