# With -DRHOPOT_SANITIZE=ON both libraries stop with a stack trace at the first access outside memory (AddressSanitizer), the
# first undefined operation (UndefinedBehaviorSanitizer) and the first wrong index into a container of the standard library.
# Programs that open them need the sanitizers' runtimes first: LD_PRELOAD with libasan.so and libubsan.so (`make sanitize`).
option(RHOPOT_SANITIZE "check memory and undefined behaviour at run time; slow, for tests" OFF)
if(RHOPOT_SANITIZE)
  # vptr asks for the type information of LAMMPS' and torch's classes, which they do not export
  set(RHOPOT_SANITIZERS -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all)
  add_compile_options(${RHOPOT_SANITIZERS} -fno-omit-frame-pointer -O1 -g1)
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
  add_link_options(${RHOPOT_SANITIZERS})
endif()
