/*-------------------------------------------------------------------------
 *
 * page.c
 *	  The files of the page.
 *
 * Runs in: the HTTP worker.  Constants only: make puts page.html, page.js and
 * page.css into page_files.h.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "metrics/page.h"
#include "page_files.h"

/*
 * Nothing but its own two files and status.json, whatever may get into it; the
 * icon is a data: URL.
 */
#define POLICY \
	"default-src 'none'; script-src 'self'; style-src 'self'; " \
	"connect-src 'self'; img-src data:; base-uri 'none'; " \
	"form-action 'none'; frame-ancestors 'none'"

#define PAGE_FILE(path_, type_, bytes) \
	{ \
		.path = path_, \
		.type = type_ "; charset=utf-8", \
		.policy = POLICY, \
		.body = (const char *) bytes, \
		.size = sizeof(bytes) \
	}

const PoolerPageFile pooler_page_files[] = {
	PAGE_FILE("/", "text/html", page_html),
	PAGE_FILE("/page.js", "text/javascript", page_js),
	PAGE_FILE("/page.css", "text/css", page_css),
};

const int	pooler_page_nfiles = (int) lengthof(pooler_page_files);
