/* SPDX-License-Identifier: BSD-3-Clause */
/* A table of results and its three forms: for people, JSON, CSV. */
#ifndef EXPERIMENTS_TABLE_H
#define EXPERIMENTS_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <json-c/json.h>

#define EXP_CELL_MAX 80

enum exp_cell_type { EXP_TEXT, EXP_NUMBER, EXP_BOOL, EXP_WORD /* text, a number in JSON if it looks like one */ };
struct exp_col {
	const char *name;
	enum exp_cell_type type;
	unsigned int decimals;
};
struct exp_cell {
	bool set; /* else empty, null in JSON */
	double v;
	char text[EXP_CELL_MAX];
};
struct exp_table {
	const struct exp_col *col;
	unsigned int cols, rows, room;
	struct exp_cell *cell;
};

/* col: the caller's, as long as the table. */
void exp_table_init(struct exp_table *t, const struct exp_col *col, unsigned int cols);
void exp_table_free(struct exp_table *t);
/* A new row's cells, empty; NULL: no memory. */
struct exp_cell *exp_table_row(struct exp_table *t);
const struct exp_cell *exp_table_at(const struct exp_table *t, unsigned int row, unsigned int col);
void exp_cell_number(struct exp_cell *c, double v);
void exp_cell_text(struct exp_cell *c, const char *text);

void exp_table_print(const struct exp_table *t, FILE *f);
/* 0 or -errno. */
int exp_table_csv(const struct exp_table *t, FILE *f);
/* An array of objects; NULL: no memory. */
struct json_object *exp_table_json(const struct exp_table *t);
/* A number with so many decimals, as JSON. */
struct json_object *exp_json_number(double v, unsigned int decimals);

#endif
