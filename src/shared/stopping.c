/*-------------------------------------------------------------------------
 *
 * stopping.c
 *	  Does the server shut down?
 *
 * Runs in: any process.  Raises nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/stopping.h"
#include "utils/pidfile.h"

bool
pooler_server_is_stopping(void)
{
	FILE	   *file = fopen("postmaster.pid", "r");	/* in our directory */
	char		line[MAXPGPATH];
	bool		stopping = false;

	if (file == NULL)
		return false;
	for (int i = 1; fgets(line, sizeof(line), file) != NULL; i++)
	{
		if (i == LOCK_FILE_LINE_PM_STATUS)
			stopping = strncmp(line, PM_STATUS_STOPPING,
							   strlen(PM_STATUS_STOPPING)) == 0;
	}
	fclose(file);
	return stopping;
}
