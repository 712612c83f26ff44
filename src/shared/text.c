/*-------------------------------------------------------------------------
 *
 * text.c
 *	  Bytes that others have chosen, as text.
 *
 * Runs in: any process.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "mb/pg_wchar.h"
#include "shared/text.h"

void
pooler_make_valid_text(char *text, int encoding)
{
	int			len = (int) strlen(text);

	for (int i = 0; i < len;)
	{
		int			good = pg_encoding_verifymbchar(encoding, text + i, len - i);

		if (good > 0)
			i += good;
		else
			text[i++] = '?';
	}
}
