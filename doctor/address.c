/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <string.h>

#include "internal.h"

static bool hex(const char **p, unsigned int min, unsigned int max, unsigned int *to)
{
	unsigned int k;

	for (k = 0, *to = 0; k < max; k++, (*p)++) {
		char c = **p;

		if (c >= '0' && c <= '9')
			*to = *to << 4 | (unsigned int)(c - '0');
		else if (c >= 'a' && c <= 'f')
			*to = *to << 4 | (unsigned int)(c - 'a' + 10);
		else
			break;
	}
	return k >= min;
}

bool doc_address(const char *text, struct doc_dev *d)
{
	const char *p = text;
	unsigned int fn;

	if (strlen(text) >= DOC_NAME_MAX || !hex(&p, 4, 8, &d->domain) || *p++ != ':' || !hex(&p, 2, 2, &d->bus) ||
	    *p++ != ':' || !hex(&p, 2, 2, &d->slot) || *p++ != '.' || !hex(&p, 1, 1, &fn) || *p || d->slot > 31 ||
	    fn > 7)
		return false;
	d->fn = fn;
	strcpy(d->name, text);
	return true;
}

void doc_add(char text[DOC_TEXT_MAX], const char *fmt, ...)
{
	size_t len = strlen(text);
	va_list ap;

	if (len && len + 3 < DOC_TEXT_MAX) {
		memcpy(text + len, "; ", 3);
		len += 2;
	}
	va_start(ap, fmt);
	vsnprintf(text + len, DOC_TEXT_MAX - len, fmt, ap);
	va_end(ap);
}

const char *doc_bytes(uint64_t bytes, char to[32])
{
	static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned int k = 0;

	while (bytes >= 1024 && bytes % 1024 == 0 && k + 1 < sizeof(unit) / sizeof(unit[0])) {
		bytes /= 1024;
		k++;
	}
	snprintf(to, 32, "%llu %s", (unsigned long long)bytes, unit[k]);
	return to;
}
