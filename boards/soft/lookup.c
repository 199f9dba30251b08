/* SPDX-License-Identifier: BSD-3-Clause */
#include "copy.h"
#include "lookup.h"

/* Where the compiler has AVX2. */
extern int soft_avx2_fw_lpm_open(struct fw_lpm *t, const void *area, uint64_t bytes) __attribute__((weak));
extern void soft_avx2_fw_lpm_find4(const struct fw_lpm *t, const uint32_t *addr, uint32_t n, uint32_t *hop)
	__attribute__((weak));
extern void soft_avx2_fw_lpm_find6(const struct fw_lpm *t, const uint32_t (*addr)[4], uint32_t n, uint32_t *hop)
	__attribute__((weak));

const struct soft_lookup *soft_lookup(unsigned int k)
{
	static const struct soft_lookup forms[] = {
		{ "plain", fw_lpm_open, fw_lpm_find4, fw_lpm_find6 },
		{ "avx2", soft_avx2_fw_lpm_open, soft_avx2_fw_lpm_find4, soft_avx2_fw_lpm_find6 },
	};

	return k == 0 || (k == 1 && soft_copy_wide() && soft_avx2_fw_lpm_find4) ? &forms[k] : NULL;
}
