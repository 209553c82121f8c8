/* Counts calls that change a file system, and kills a process at one of them.

   Preloaded into the processes of `survival.py`, which share the numbers in a
   mapped file: one call of any process counts once, in Python as in C++. The
   kill comes before the call. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

struct numbers {
  atomic_long count;    /* Calls so far. */
  atomic_long kill_at;  /* The call to kill at; 0: none. */
  atomic_long process;  /* Whom to kill. */
};

static struct numbers *shared;

/* Called by the process that is to be killed; others find the file by name. */
void count_in(const char *path) {
  int file = ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open"))(
      path, O_RDWR | O_CLOEXEC);
  if (file < 0) return;
  void *mapped = mmap(NULL, sizeof(struct numbers), PROT_READ | PROT_WRITE,
                      MAP_SHARED, file, 0);
  shared = mapped == MAP_FAILED ? NULL : mapped;
  close(file);
}

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("FILE_OPERATIONS");
  if (path) count_in(path);
}

static void operation(void) {
  if (!shared || !atomic_load(&shared->process)) return;
  long number = atomic_fetch_add(&shared->count, 1) + 1;
  if (number == atomic_load(&shared->kill_at))
    kill((pid_t)atomic_load(&shared->process), SIGKILL);
}

#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))

#define CHANGING(name, parameters, arguments) \
  int name parameters {                       \
    operation();                              \
    return REAL(name) arguments;              \
  }

CHANGING(rename, (const char *a, const char *b), (a, b))
CHANGING(renameat, (int c, const char *a, int d, const char *b), (c, a, d, b))
CHANGING(renameat2,
         (int c, const char *a, int d, const char *b, unsigned int e),
         (c, a, d, b, e))
CHANGING(unlink, (const char *a), (a))
CHANGING(unlinkat, (int c, const char *a, int d), (c, a, d))
CHANGING(remove, (const char *a), (a))
CHANGING(rmdir, (const char *a), (a))
CHANGING(mkdir, (const char *a, mode_t b), (a, b))
CHANGING(mkdirat, (int c, const char *a, mode_t b), (c, a, b))
CHANGING(link, (const char *a, const char *b), (a, b))
CHANGING(symlink, (const char *a, const char *b), (a, b))
CHANGING(truncate, (const char *a, off_t b), (a, b))
CHANGING(truncate64, (const char *a, off64_t b), (a, b))
CHANGING(ftruncate, (int a, off_t b), (a, b))
CHANGING(ftruncate64, (int a, off64_t b), (a, b))
CHANGING(fsync, (int a), (a))

#define OPENING(name, first, pass)                                \
  int name(first const char *path, int flags, ...) {              \
    va_list list;                                                 \
    va_start(list, flags);                                        \
    int makes = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE; \
    mode_t mode = makes ? va_arg(list, mode_t) : 0;               \
    va_end(list);                                                 \
    if (flags & (O_CREAT | O_TRUNC)) operation();                 \
    return REAL(name)(pass path, flags, mode);                    \
  }
#define COMMA ,

OPENING(open, , )
OPENING(open64, , )
OPENING(openat, int folder COMMA, folder COMMA)
OPENING(openat64, int folder COMMA, folder COMMA)

FILE *fopen(const char *path, const char *mode) {
  if (!strchr(mode, 'r') || strchr(mode, '+')) operation();
  return REAL(fopen)(path, mode);
}

FILE *fopen64(const char *path, const char *mode) {
  if (!strchr(mode, 'r') || strchr(mode, '+')) operation();
  return REAL(fopen64)(path, mode);
}
