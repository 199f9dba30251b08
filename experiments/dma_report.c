/* SPDX-License-Identifier: BSD-3-Clause */
/* The experiment `dma`: a profile's DMA engine beside what pcie-bench measured. */
#include <errno.h>
#include <stdlib.h>

#include "dma.h"
#include "report.h"

#define DMA_WINDOW 8192u
#define DMA_REQUESTS 20000u
#define DMA_LATENCY_REQUESTS 400u

/*
 * NFP-6000 at 1.2 GHz, PCIe Gen3 x8, MPS 256, MRRS 512, Xeon E5-2637v3, window 8 KiB, cache warm.
 * Source: pcie-bench/data, nfp6000-1.2GHz_hsw-Xeon-E5-2637v3_supermicro: bw_dma_sz_sweep (WR, RD, RW), lat_dma_sizes (medians).
 */
static const struct {
	unsigned int bytes;
	double value[EXP_DMA_NUM_TESTS]; /* by enum exp_dma_test */
} measured[] = {
	{ 64, { 24.27, 28.65, 22.95, 600, 800 } },	{ 128, { 42.40, 42.96, 33.82, 626, 840 } },
	{ 256, { 50.55, 46.89, 42.08, 666, 906 } },	{ 512, { 54.44, 55.11, 42.67, 746, 1040 } },
	{ 1024, { 54.44, 49.10, 43.84, 906, 1306 } },
};

static const struct exp_col dma_cols[] = {
	{"bytes", EXP_NUMBER, 0},
	{"write_gbps", EXP_NUMBER, 2}, {"write_measured", EXP_NUMBER, 2}, {"write_percent", EXP_NUMBER, 1},
	{"read_gbps", EXP_NUMBER, 2}, {"read_measured", EXP_NUMBER, 2}, {"read_percent", EXP_NUMBER, 1},
	{"both_gbps", EXP_NUMBER, 2}, {"both_measured", EXP_NUMBER, 2}, {"both_percent", EXP_NUMBER, 1},
	{"latency_ns", EXP_NUMBER, 0}, {"latency_measured", EXP_NUMBER, 0}, {"latency_percent", EXP_NUMBER, 1},
	{"write_read_ns", EXP_NUMBER, 0}, {"write_read_measured", EXP_NUMBER, 0}, {"write_read_percent", EXP_NUMBER, 1},
};

static const unsigned int windows_kib[] = {8, 64, 128, 192, 256, 320, 384, 512, 1024, 4096};

static const struct exp_col iommu_cols[] = {
	{"window_kib", EXP_NUMBER, 0}, {"read_gbps", EXP_NUMBER, 2}, {"write_gbps", EXP_NUMBER, 2},
};

static void dma_cells(struct exp_cell *c, double got, double want)
{
	exp_cell_number(&c[0], got);
	exp_cell_number(&c[1], want);
	exp_cell_number(&c[2], (got / want - 1) * 100);
}

static int dma_row(struct exp_cell *cell, struct exp_dma_cfg *cfg, unsigned int k, char err[EXP_ERR_MAX])
{
	struct exp_dma_result res;
	unsigned int t;
	int rc;

	cfg->bytes = measured[k].bytes;
	exp_cell_number(&cell[0], cfg->bytes);
	for (t = 0; t < EXP_DMA_NUM_TESTS; t++) {
		cfg->test = (enum exp_dma_test)t;
		cfg->requests = exp_dma_is_latency(cfg->test) ? DMA_LATENCY_REQUESTS : DMA_REQUESTS;
		rc = exp_dma_run(cfg, &res, err);
		if (rc)
			return rc;
		dma_cells(&cell[1 + 3 * t], exp_dma_is_latency(cfg->test) ? res.latency_ns : res.gbps, measured[k].value[t]);
	}
	return 0;
}

/* 64-byte requests by window: past the reach of the IOTLB every one of them waits for a page walk. */
static int iommu_row(struct exp_cell *cell, struct exp_dma_cfg *cfg, unsigned int k, char err[EXP_ERR_MAX])
{
	static const enum exp_dma_test test[] = {EXP_DMA_READ, EXP_DMA_WRITE};
	struct exp_dma_result res;
	unsigned int t;
	int rc;

	cfg->bytes = 64;
	cfg->window_bytes = windows_kib[k] << 10;
	cfg->requests = DMA_REQUESTS;
	exp_cell_number(&cell[0], windows_kib[k]);
	for (t = 0; t < 2; t++) {
		cfg->test = test[t];
		rc = exp_dma_run(cfg, &res, err);
		if (rc)
			return rc;
		exp_cell_number(&cell[1 + t], res.gbps);
	}
	return 0;
}

typedef int dma_row_fn(struct exp_cell *cell, struct exp_dma_cfg *cfg, unsigned int k, char err[EXP_ERR_MAX]);

static int dma_rows(const struct exp_request *r, struct exp_table *t, dma_row_fn *row, unsigned int rows,
		    char err[EXP_ERR_MAX])
{
	struct exp_config *c = malloc(sizeof(*c));
	struct exp_dma_cfg cfg = {.window_bytes = DMA_WINDOW, .seed = r->spec.s.seed};
	struct exp_cell *cell;
	unsigned int k;
	int rc = -ENOMEM;

	snprintf(err, EXP_ERR_MAX, "out of memory");
	if (!c)
		return rc;
	rc = exp_config_make(&r->spec, true, c, err);
	for (k = 0; k < c->num_nodes && !rc; k++) {
		if (c->node[k].kind == EXP_NIC && !cfg.nic)
			cfg.nic = &c->node[k].p.nic;
		if (c->node[k].kind == EXP_HOST)
			cfg.host = &c->node[k].p.host;
	}
	for (k = 0; !rc && k < rows; k++) {
		cell = exp_table_row(t);
		rc = cell ? row(cell, &cfg, k, err) : -ENOMEM;
	}
	free(c);
	return rc;
}

static int dma_report(const struct exp_request *r, struct exp_report *rep, dma_row_fn *row, unsigned int rows, FILE *to,
		      char err[EXP_ERR_MAX])
{
	int rc = dma_rows(r, &rep->rows, row, rows, err);

	if (!rc)
		rc = exp_report_emit(r, rep, to, err);
	exp_table_free(&rep->rows);
	return rc;
}

int exp_dma(const struct exp_request *r, FILE *to, char err[EXP_ERR_MAX])
{
	struct exp_report rep = {.title = "A DMA engine against main memory, beside pcie-bench's NFP-6000"};

	exp_table_init(&rep.rows, dma_cols, sizeof(dma_cols) / sizeof(dma_cols[0]));
	exp_report_note(&rep, "both: Gb/s of writes, while as many reads go on; write_read: a read of what was just written.");
	exp_report_note(&rep, "measured: NFP-6000 in a Xeon E5-2637v3, window 8 KiB, cache warm (pcie-bench).");
	return dma_report(r, &rep, dma_row, sizeof(measured) / sizeof(measured[0]), to, err);
}

int exp_iommu(const struct exp_request *r, FILE *to, char err[EXP_ERR_MAX])
{
	struct exp_report rep = {.title = "64-byte DMA through an IOMMU with 4 KiB pages, by window"};

	exp_table_init(&rep.rows, iommu_cols, sizeof(iommu_cols) / sizeof(iommu_cols[0]));
	exp_report_note(&rep, "measured by pcie-bench: reads fall from 29.97 to 9.84 Gb/s and writes from 24.27 to 11.35 "
			      "past 256 KiB.");
	return dma_report(r, &rep, iommu_row, sizeof(windows_kib) / sizeof(windows_kib[0]), to, err);
}
