/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Firmware is compiled once per board, and per kind of CPU that a board tells apart, and the objects live in one binary.
 * FW_BOARD (soft, sim, late, ...) becomes the prefix of every external symbol.
 * A file that serves no single board includes this without FW_BOARD and sees
 * the plain names.
 */
#ifndef FIRMWARE_NAMES_H
#define FIRMWARE_NAMES_H

#ifdef FW_BOARD
#define FW_PASTE2(a, b) a##_##b
#define FW_PASTE(a, b) FW_PASTE2(a, b)
#define FW_SYM(name) FW_PASTE(FW_BOARD, name)

#define fw_nic_bytes FW_SYM(fw_nic_bytes)
#define fw_nic_init FW_SYM(fw_nic_init)
#define fw_nic_reset FW_SYM(fw_nic_reset)
#define fw_step FW_SYM(fw_step)
#define fw_sleep FW_SYM(fw_sleep)
#define fw_reg_read FW_SYM(fw_reg_read)
#define fw_reg_write FW_SYM(fw_reg_write)
#define fw_reg_read_all FW_SYM(fw_reg_read_all)
#define fw_reg_write_all FW_SYM(fw_reg_write_all)
#define fw_nic_running FW_SYM(fw_nic_running)
#define fw_nic_persist FW_SYM(fw_nic_persist)
#define fw_nic_shape FW_SYM(fw_nic_shape)
#define fw_nic_mode FW_SYM(fw_nic_mode)
#define fw_nic_index FW_SYM(fw_nic_index)
#define fw_nic_events FW_SYM(fw_nic_events)
#define fw_nic_drops FW_SYM(fw_nic_drops)
#define fw_nic_punts FW_SYM(fw_nic_punts)
#define fw_nic_held FW_SYM(fw_nic_held)
#define fw_nic_placement FW_SYM(fw_nic_placement)
#define fw_place_lost FW_SYM(fw_place_lost)
#define fw_peer_info FW_SYM(fw_peer_info)
#define fw_lpm_open FW_SYM(fw_lpm_open)
#define fw_lpm_find4 FW_SYM(fw_lpm_find4)
#define fw_lpm_find6 FW_SYM(fw_lpm_find6)
#endif

#endif
