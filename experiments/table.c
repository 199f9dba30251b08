/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

#define TABLE_MAX_COLS 32

void exp_table_init(struct exp_table *t, const struct exp_col *col, unsigned int cols)
{
	*t = (struct exp_table){ .col = col, .cols = cols };
}

void exp_table_free(struct exp_table *t)
{
	free(t->cell);
	t->cell = NULL;
	t->rows = t->room = 0;
}

struct exp_cell *exp_table_row(struct exp_table *t)
{
	struct exp_cell *more;

	if (t->rows == t->room) {
		unsigned int room = t->room ? t->room * 2 : 32;

		more = realloc(t->cell, sizeof(*more) * room * t->cols);
		if (!more)
			return NULL;
		t->cell = more;
		t->room = room;
	}
	more = &t->cell[(size_t)t->rows++ * t->cols];
	memset(more, 0, sizeof(*more) * t->cols);
	return more;
}

const struct exp_cell *exp_table_at(const struct exp_table *t, unsigned int row, unsigned int col)
{
	return &t->cell[(size_t)row * t->cols + col];
}

void exp_cell_number(struct exp_cell *c, double v)
{
	c->v = v;
	c->set = true;
}

void exp_cell_text(struct exp_cell *c, const char *text)
{
	snprintf(c->text, sizeof(c->text), "%s", text);
	c->set = true;
}

static void cell_print(const struct exp_col *col, const struct exp_cell *c, char text[EXP_CELL_MAX])
{
	if (!c->set)
		snprintf(text, EXP_CELL_MAX, "%s", "");
	else if (col->type == EXP_TEXT || col->type == EXP_WORD)
		snprintf(text, EXP_CELL_MAX, "%s", c->text);
	else if (col->type == EXP_BOOL)
		snprintf(text, EXP_CELL_MAX, "%s", c->v != 0 ? "yes" : "no");
	else
		snprintf(text, EXP_CELL_MAX, "%.*f", (int)col->decimals, c->v);
}

void exp_table_print(const struct exp_table *t, FILE *f)
{
	int width[TABLE_MAX_COLS];
	char text[EXP_CELL_MAX];
	unsigned int c, r;

	for (c = 0; c < t->cols; c++) {
		width[c] = (int)strlen(t->col[c].name);
		for (r = 0; r < t->rows; r++) {
			cell_print(&t->col[c], exp_table_at(t, r, c), text);
			if ((int)strlen(text) > width[c])
				width[c] = (int)strlen(text);
		}
	}
	for (c = 0; c < t->cols; c++)
		fprintf(f, "%s%*s", c ? "  " : "", t->col[c].type == EXP_TEXT ? -width[c] : width[c], t->col[c].name);
	fputc('\n', f);
	for (r = 0; r < t->rows; r++) {
		for (c = 0; c < t->cols; c++) {
			cell_print(&t->col[c], exp_table_at(t, r, c), text);
			fprintf(f, "%s%*s", c ? "  " : "", t->col[c].type == EXP_TEXT ? -width[c] : width[c], text);
		}
		fputc('\n', f);
	}
}

/* Quoted where CSV (RFC 4180) asks for it. */
static void csv_text(const char *text, FILE *f)
{
	if (!strpbrk(text, ",\"\n")) {
		fputs(text, f);
		return;
	}
	fputc('"', f);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', f);
		fputc(*text, f);
	}
	fputc('"', f);
}

int exp_table_csv(const struct exp_table *t, FILE *f)
{
	char text[EXP_CELL_MAX];
	unsigned int c, r;

	for (c = 0; c < t->cols; c++)
		fprintf(f, "%s%s", c ? "," : "", t->col[c].name);
	fputc('\n', f);
	for (r = 0; r < t->rows; r++) {
		for (c = 0; c < t->cols; c++) {
			const struct exp_cell *cell = exp_table_at(t, r, c);

			if (c)
				fputc(',', f);
			cell_print(&t->col[c], cell, text);
			if (cell->set && t->col[c].type == EXP_BOOL)
				fputs(cell->v != 0 ? "true" : "false", f);
			else
				csv_text(text, f);
		}
		fputc('\n', f);
	}
	return ferror(f) ? -EIO : 0;
}

struct json_object *exp_json_number(double v, unsigned int decimals)
{
	char text[64];

	if (!isfinite(v))
		return NULL;
	snprintf(text, sizeof(text), "%.*f", (int)decimals, v);
	if (!decimals)
		return json_object_new_int64((int64_t)llround(v));
	return json_object_new_double_s(strtod(text, NULL), text);
}

static struct json_object *word_json(const char *text)
{
	char *end;
	double v = strtod(text, &end);

	if (*text && strspn(text, "0123456789.eE+-") == strlen(text) && !*end && isfinite(v))
		return v == floor(v) && fabs(v) < 1e15 ? json_object_new_int64((int64_t)v)
						       : json_object_new_double_s(v, text);
	return json_object_new_string(text);
}

struct json_object *exp_table_json(const struct exp_table *t)
{
	struct json_object *rows = json_object_new_array(), *row;
	unsigned int c, r;

	for (r = 0; rows && r < t->rows; r++) {
		row = json_object_new_object();
		if (!row)
			break;
		for (c = 0; c < t->cols; c++) {
			const struct exp_cell *cell = exp_table_at(t, r, c);
			struct json_object *v = NULL;

			if (cell->set && t->col[c].type == EXP_WORD)
				v = word_json(cell->text);
			else if (cell->set && t->col[c].type == EXP_TEXT)
				v = json_object_new_string(cell->text);
			else if (cell->set && t->col[c].type == EXP_BOOL)
				v = json_object_new_boolean(cell->v != 0);
			else if (cell->set)
				v = exp_json_number(cell->v, t->col[c].decimals);
			json_object_object_add(row, t->col[c].name, v);
		}
		json_object_array_add(rows, row);
	}
	return rows;
}
