/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Attaches by alternative spellings of system call names. Cases are named spelling/NAME. */
#include "answers.h"

void ask_spellings(void)
{
	static const struct {
		const char *name;
		long number;
	} calls[] = {
		{ "openat", SYS_openat },
		{ "newuname", SYS_uname },
		{ "stat", SYS_stat },
		{ "uname", SYS_uname },
		{ "sendfile", SYS_sendfile },
		{ "umount2", SYS_umount2 },
		{ "__NR_getpgid", SYS_getpgid },
		{ "SYS_getpgid", SYS_getpgid },
		{ "sys_getpgid", SYS_getpgid },
		{ "umount", SYS_umount2 },
		{ "sendfile64", SYS_sendfile },
		{ "socketcall", SYS_getpgid },
		{ "getuid16", SYS_getuid },
		{ "uselib", SYS_uselib },
		{ "__x64_sys_getpgid", SYS_getpgid },
		{ "pread", SYS_pread64 },
	};
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		begin("spelling/%s", calls[i].name);
		ask(&(struct question){
			.prog = probe(false), .name = calls[i].name, .number = calls[i].number });
	}
}
