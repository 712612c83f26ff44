/*-------------------------------------------------------------------------
 *
 * analysis.h
 *	  The settings under which a statement was prepared.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_BACKEND_ANALYSIS_H
#define POOLER_BACKEND_ANALYSIS_H

#include "compat.h"

#include "parser/parse_node.h"

/*
 * Values of the settings on which the meaning of a statement's text depends,
 * and the role.  Equal ones have equal bytes.  Counted; freed with the last
 * reference.
 */
typedef struct PoolerAnalysis
{
	int			refs;
	int			len;
	char		data[FLEXIBLE_ARRAY_MEMBER];
} PoolerAnalysis;

/* What is in force now, with a reference for the caller. */
extern PoolerAnalysis *pooler_analysis_now(void);

/* From bytes that pooler_analysis_now() has made in some process. */
extern PoolerAnalysis *pooler_analysis_from(const char *data, int len);

/* Never raises. */
extern void pooler_analysis_drop(PoolerAnalysis *analysis);

/* Was standard_conforming_strings on? */
extern bool pooler_analysis_standard_strings(const PoolerAnalysis *analysis);

/*
 * From a parser setup hook: until the analysis that begins here has ended, and
 * no longer, the settings are those.
 */
extern void pooler_analysis_begin(ParseState *pstate,
								  const PoolerAnalysis *analysis);

extern void pooler_analysis_init(void);

#endif							/* POOLER_BACKEND_ANALYSIS_H */
