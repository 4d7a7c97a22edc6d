/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Invalid system call numbers. A contestant makes these calls to mark its progress for `count`. */
#ifndef MARKS_H
#define MARKS_H

enum mark { END = 100000, EMPTY, FIRST_ATTACH, ATTACH, DESTROY, MARKS };

#endif
