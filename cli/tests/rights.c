/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Without arguments: prints whether libksyscall was preloaded. With FILE PERMITTED INHERITABLE EFFECTIVE:
   sets the file's capabilities. PERMITTED and INHERITABLE are bit masks, and EFFECTIVE is a flag
   (capabilities(7)). */
#include <endian.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

static int say_preloaded(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[4096];
	int is_there = 0;

	if (!maps)
		return 1;
	while (fgets(line, sizeof(line), maps))
		is_there |= strstr(line, "libksyscall") != NULL;
	puts(is_there ? "preloaded" : "not preloaded");
	return 0;
}

int main(int argc, char **argv)
{
	struct vfs_cap_data data = { .magic_etc = htole32(VFS_CAP_REVISION_2) };

	if (argc == 1)
		return say_preloaded();
	if (argc != 5)
		return 2;
	data.data[0].permitted = htole32(strtoul(argv[2], NULL, 0));
	data.data[0].inheritable = htole32(strtoul(argv[3], NULL, 0));
	if (atoi(argv[4]))
		data.magic_etc |= htole32(VFS_CAP_FLAGS_EFFECTIVE);
	if (setxattr(argv[1], "security.capability", &data, sizeof(data), 0)) {
		perror(argv[1]);
		return 1;
	}
	return 0;
}
