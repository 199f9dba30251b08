/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bursts (firmware/board.h, "Bursts") with AVX2: what is the same arithmetic for all frames is done for eight at a time;
 * what is each frame's own, its line and its CRC instructions, in loops without calls.
 *
 * A descriptor is read as one aligned 16 bytes, which any CPU that has AVX does at once (Intel SDM 3A 9.1.1, AMD APM 2
 * 7.3.2): its halves belong together, also where the producer stored them one after the other, seq last.
 */
#ifndef BOARDS_SOFT_FEW_H
#define BOARDS_SOFT_FEW_H

#define FEW_LANES 8

/* What follows from a run's numbers alone. */
struct soft_few {
	_Alignas(32) uint64_t high[BOARD_FEW_MAX]; /* where | seq << 32 */
	uint32_t at[BOARD_FEW_MAX];		   /* where the only line of a frame is sampled */
};

static inline void soft_few_high(const struct board_run *r, uint32_t n, uint64_t *high)
{
	const int frame = (int)P2P_DW(0, r->frame), one = (int)P2P_DW(0, 1), seq = (int)r->seq;
	const __m256i step = _mm256_set1_epi64x((long long)(P2P_DW(0, 4) | 4ull << 32));
	__m256i v = _mm256_add_epi32(_mm256_setr_epi32(frame, seq, frame, seq, frame, seq, frame, seq),
				     _mm256_setr_epi32(0, 0, one, 1, 2 * one, 2, (int)P2P_DW(0, 3), 3));

	for (uint32_t k = 0; k < n; k += 4, v = _mm256_add_epi32(v, step))
		_mm256_store_si256((__m256i *)(high + k), v);
}

/* p2p_sample_offset(p2p_mix(seq + k), 0, 64) */
static inline void soft_few_at(uint32_t seq, uint32_t n, uint32_t *at)
{
	const __m256i m1 = _mm256_set1_epi32((int)0x85ebca6bu), m2 = _mm256_set1_epi32((int)0xc2b2ae35u);
	const __m256i word = _mm256_set1_epi32(SOFT_LINE - 4);
	__m256i v = _mm256_add_epi32(_mm256_set1_epi32((int)seq), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));

	for (uint32_t k = 0; k < n; k += FEW_LANES, v = _mm256_add_epi32(v, _mm256_set1_epi32(FEW_LANES))) {
		__m256i x = _mm256_mullo_epi32(_mm256_xor_si256(v, _mm256_srli_epi32(v, 16)), m1);

		x = _mm256_mullo_epi32(_mm256_xor_si256(x, _mm256_srli_epi32(x, 13)), m2);
		x = _mm256_xor_si256(x, _mm256_srli_epi32(x, 16));
		_mm256_store_si256((__m256i *)(at + k), _mm256_and_si256(_mm256_srli_epi32(x, 24), word));
	}
}

/* board_sum_finish(), from the only sampled word on, or from none; high: where | seq << 32. */
static inline uint32_t soft_few_sum(uint32_t running, uint32_t w0, uint64_t high)
{
	uint64_t crc = running;

	__asm__("crc32l %1, %k0" : "+r"(crc) : "rm"(w0));
	__asm__("crc32q %1, %0" : "+r"(crc) : "rm"(high));
	return ~(uint32_t)crc;
}

static inline void soft_few_desc(struct p2p_desc *d, uint32_t w0, uint32_t csum, uint64_t high)
{
	const uint64_t low = w0 | (uint64_t)csum << 32;

	/* Two stores cost less than putting the halves together. */
	soft_store_pair(d, &low, 0);
	soft_store_pair(&d->where, &high, 0);
}

static inline void board_prefetch_few(struct board_ctx *b, struct board_win *w, uint64_t off, uint32_t step, uint32_t n)
{
	uint64_t rel = off - w->lo;
	const uint8_t *p;

	if (p2p_unlikely(!w->host || w->gen != b->gen || rel > w->span_write || (uint64_t)n * step > w->span_write - rel))
		return;
	p = w->host + rel;
#pragma GCC unroll 4
	for (uint32_t k = 0; k < n; k++, p += step)
		__asm__ volatile("prefetchw %0" : : "m"(*p));
}

/*
 * The word is sampled where the frame was read from, masked as the copy is: what was just stored can be loaded only when
 * the line is here.
 */
static inline uint32_t soft_few_line(uint8_t *dst, const uint8_t *src, uint32_t len, uint32_t at)
{
	soft_copy_line(dst, src, len);
	return soft_crc32(~0u, soft_load32(src + at) & soft_load32(soft_keep_mask + SOFT_LINE - len + at));
}

/* The lines of a frame that is soon to be moved, but for the first, which was asked for when it was received. */
static inline void soft_few_ahead(const struct p2p_seg *s)
{
	const uint8_t *p = s->data;

	for (uint32_t at = SOFT_LINE; at < s->len; at += SOFT_LINE)
		__builtin_prefetch(p + at);
}

static inline uint32_t board_fill_few(struct board_ctx *b, struct board_win *w, uint64_t off, const struct board_run *r,
				      const struct p2p_seg *segs, uint32_t n, struct p2p_desc *d)
{
	const uint32_t step = r->step, w0 = r->w0;
	uint8_t *dst = soft_win_ptr(b, w, off, n * step, true);
	struct soft_few few;
	uint32_t sum;

	if (p2p_unlikely(!dst || r->stride != SOFT_LINE))
		return board_fill_each(b, w, off, r, segs, 0, n, d);
	soft_few_high(r, n, few.high);
	soft_few_at(r->seq, n, few.at);
	for (uint32_t k = 0; k < n; k++, dst += step) {
		const uint32_t len = segs[k].len, word = w0 | len;

		if (k + 1 < n)
			soft_few_ahead(&segs[k + 1]);
		if (p2p_likely(len - 1 < SOFT_LINE))
			sum = soft_few_line(dst, segs[k].data, len, few.at[k]);
		else
			sum = soft_copy_ops.copy_sum(dst, segs[k].data, len, soft_copy_round(len, SOFT_LINE),
						     p2p_mix(r->seq + k), SOFT_LINE);
		soft_few_desc(&d[k], word, soft_few_sum(sum, word, few.high[k]), few.high[k]);
	}
	return 0;
}

static inline void board_describe_few(const struct board_run *r, const struct p2p_seg *segs, uint32_t n, struct p2p_desc *d)
{
	const uint32_t w0 = r->w0;
	struct soft_few few;

	soft_few_high(r, n, few.high);
#pragma GCC unroll 4
	for (uint32_t k = 0; k < n; k++) {
		const uint32_t word = w0 | segs[k].len;

		soft_few_desc(&d[k], word, soft_few_sum(~0u, word, few.high[k]), few.high[k]);
	}
}

/* Two descriptors, each read once. */
static inline __m256i soft_few_pair(const struct p2p_desc *at)
{
	__m128i low, high;

	__asm__ volatile("vmovdqa %1, %0" : "=x"(low) : "m"(at[0]));
	__asm__ volatile("vmovdqa %1, %0" : "=x"(high) : "m"(at[1]));
	return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

static inline uint32_t soft_few_longest(__m256i len)
{
	__m128i v = _mm_max_epu32(_mm256_castsi256_si128(len), _mm256_extracti128_si256(len, 1));

	v = _mm_max_epu32(v, _mm_shuffle_epi32(v, _MM_SHUFFLE(1, 0, 3, 2)));
	v = _mm_max_epu32(v, _mm_shuffle_epi32(v, _MM_SHUFFLE(2, 3, 0, 1)));
	return (uint32_t)_mm_cvtsi128_si32(v);
}

static inline uint32_t soft_few_total(__m256i len)
{
	__m128i v = _mm_add_epi32(_mm256_castsi256_si128(len), _mm256_extracti128_si256(len, 1));

	v = _mm_add_epi32(v, _mm_shuffle_epi32(v, _MM_SHUFFLE(1, 0, 3, 2)));
	v = _mm_add_epi32(v, _mm_shuffle_epi32(v, _MM_SHUFFLE(2, 3, 0, 1)));
	return (uint32_t)_mm_cvtsi128_si32(v);
}

static inline uint32_t board_take_few(const struct p2p_desc *at, const struct board_run *r, uint32_t free, uint32_t n,
				      struct board_few *f)
{
	const int w0 = (int)r->w0, frame = (int)P2P_DW(0, r->frame), one = (int)P2P_DW(0, 1), seq = (int)r->seq;
	const __m256i known = _mm256_setr_epi32((int)~free, 0, -1, -1, (int)~free, 0, -1, -1);
	const __m256i two = _mm256_setr_epi32(0, 0, 2 * one, 2, 0, 0, 2 * one, 2);
	const __m256i in_turn = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7), most = _mm256_set1_epi32((int)r->step);
	__m256i want = _mm256_add_epi32(_mm256_setr_epi32(w0, 0, frame, seq, w0, 0, frame, seq),
					_mm256_setr_epi32(0, 0, 0, 0, 0, 0, one, 1));
	__m256i longest = _mm256_setzero_si256(), total = longest;
	uint32_t k;

	for (k = 0; k + FEW_LANES <= n; k += FEW_LANES) {
		__m256i v[4], odd = _mm256_setzero_si256(), low, high, words, sums, len;

		for (int i = 0; i < 4; i++, want = _mm256_add_epi32(want, two)) {
			v[i] = soft_few_pair(&at[k + 2 * (uint32_t)i]);
			odd = _mm256_or_si256(odd, _mm256_and_si256(_mm256_xor_si256(v[i], want), known));
		}
		low = _mm256_unpacklo_epi32(v[0], v[1]);
		high = _mm256_unpacklo_epi32(v[2], v[3]);
		words = _mm256_permutevar8x32_epi32(_mm256_unpacklo_epi64(low, high), in_turn);
		sums = _mm256_permutevar8x32_epi32(_mm256_unpackhi_epi64(low, high), in_turn);
		len = _mm256_and_si256(words, _mm256_set1_epi32(0x3fff));
		/* Not longer than a slot, and not 0. */
		odd = _mm256_or_si256(odd, _mm256_xor_si256(_mm256_max_epu32(len, most), most));
		odd = _mm256_or_si256(odd, _mm256_cmpeq_epi32(len, _mm256_setzero_si256()));
		if (p2p_unlikely(!_mm256_testz_si256(odd, odd)))
			break;
		longest = _mm256_max_epu32(longest, len);
		total = _mm256_add_epi32(total, len);
		_mm256_store_si256((__m256i *)(f->w0 + k), words);
		_mm256_store_si256((__m256i *)(f->csum + k), sums);
	}
	f->longest = soft_few_longest(longest);
	f->bytes = soft_few_total(total);
	return k == n ? n : board_take_each(at, r, free, k, n, f);
}

static inline uint32_t board_check_few(struct board_ctx *b, const uint8_t *mem, const struct board_run *r, uint32_t n,
				       const struct board_few *f)
{
	const uint32_t step = r->step;
	const uint8_t *line = mem;
	uint32_t differ = 0;
	struct soft_few few;

	if (p2p_unlikely(mem && (f->longest > SOFT_LINE || r->stride != SOFT_LINE)))
		return board_check_each(b, mem, r, n, f);
	soft_few_high(r, n, few.high);
	if (mem) {
		soft_few_at(r->seq, n, few.at);
#pragma GCC unroll 4
		for (uint32_t k = 0; k < n; k++, line += step)
			differ |= soft_few_sum(soft_crc32(~0u, soft_load32(line + few.at[k])), f->w0[k], few.high[k]) ^ f->csum[k];
	} else {
#pragma GCC unroll 4
		for (uint32_t k = 0; k < n; k++)
			differ |= soft_few_sum(~0u, f->w0[k], few.high[k]) ^ f->csum[k];
	}
	return p2p_likely(!differ) ? n : board_check_each(b, mem, r, n, f);
}

#endif
