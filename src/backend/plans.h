/*-------------------------------------------------------------------------
 *
 * plans.h
 *	  Core's plan sources of prepared statements, seen as ours.
 *
 * Runs in: pool backends.  For statements.c (with a name) and unnamed.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_BACKEND_PLANS_H
#define POOLER_BACKEND_PLANS_H

#include "compat.h"

#include "backend/analysis.h"
#include "lib/ilist.h"
#include "lib/stringinfo.h"
#include "shared/registry.h"
#include "utils/plancache.h"

/* What a plan source is used for. */
typedef enum PoolerPlanUse
{
	POOLER_PLAN_NEW,			/* has been made by core, or is being made */
	POOLER_PLAN_NAMED,			/* a name of the session leads to it */
	POOLER_PLAN_KEPT,			/* none does at the moment */
	POOLER_PLAN_UNNAMED			/* the unnamed statement */
} PoolerPlanUse;

/*
 * What we know of a plan source.  It lies in the source's own memory context
 * and goes with it, whoever drops it; pooler_plan_gone() tells.
 */
typedef struct PoolerPlan
{
	MemoryContextCallback callback;
	CachedPlanSource *source;
	PoolerAnalysis *analysis;
	PoolerPlanUse use;

	/* once it is a statement of the registry, else 0 */
	uint64		id;
	uint32		copy;			/* of several in this process: names of one
								 * client may not share one, as core drops
								 * them one by one */
	PoolerStatementKey key;
	dsa_pointer statement;

	/* of statements.c */
	uint32		mark;
	bool		held;			/* there is a reference that no session has */
	dlist_node	held_node;		/* if so */

	dlist_node	node;			/* if it is KEPT */
	MemoryContext filling;		/* what pooler_plan_fill() has put in */
} PoolerPlan;

/* The source that was saved last, or NULL. */
extern CachedPlanSource *pooler_plan_newest(void);

/* Begins to watch a source, if that has not been begun before. */
extern PoolerPlan *pooler_plan_watch(CachedPlanSource *source);

/*
 * Called when one is dropped, by whomever; sees to references to it in
 * statements.c and unnamed.c.  Must not raise.
 */
extern void pooler_names_see_gone(PoolerPlan *plan);
extern void pooler_unnamed_see_gone(PoolerPlan *plan);

/*---------------------------------------------------------------------------
 * content: what a backend needs to make the statement
 *---------------------------------------------------------------------------
 */

/* Appends the content of a plan source. */
extern void pooler_plan_describe(PoolerPlan *plan, bool from_sql, StringInfo content);

/* Would it be made of its content as it is?  Parses the text again. */
extern bool pooler_plan_can_be_made(PoolerPlan *plan, bool from_sql);

/*
 * Replaces whatever a source consists of.  Its query is not analysed before
 * it is used, in the client's own transaction: what has to be raised is raised
 * there.  No catalog is looked at.  Raises if there is no memory; then nothing
 * has changed.
 */
extern void pooler_plan_fill(PoolerPlan *plan, const char *content);

/* An empty statement, as core makes it of an empty text. */
extern CachedPlanSource *pooler_plan_make_empty(void);

/*---------------------------------------------------------------------------
 * plans of the registry's statements
 *---------------------------------------------------------------------------
 */

/* NULL if there is none. */
extern PoolerPlan *pooler_plan_lookup(uint64 id, uint32 copy);

/* Makes it, KEPT. */
extern PoolerPlan *pooler_plan_make(dsa_pointer statement, uint32 copy);

/* A source that core has made becomes the one for this statement. */
extern void pooler_plan_adopt(PoolerPlan *plan, dsa_pointer statement, uint32 copy);

/* Has core, analysing the same text, come to the same query? */
extern bool pooler_plan_same(const PoolerPlan *kept, const PoolerPlan *new);

extern void pooler_plan_set_use(PoolerPlan *plan, PoolerPlanUse use);

/* Drops some of the KEPT ones if there are too many. */
extern void pooler_plans_trim(void);

/* From now on it is a statement that does not exist.  It keeps its context. */
extern void pooler_plan_forbid(PoolerPlan *plan);

#endif							/* POOLER_BACKEND_PLANS_H */
