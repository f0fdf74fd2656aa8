# Shaders: GLSL -> SPIR-V by glslang, checked by spirv-val, embedded as headers <name>.h with the words of the module.
set(LOWBIT_SHADER_DIR ${PROJECT_BINARY_DIR}/shaders)
file(GLOB LOWBIT_SHADER_HEADERS CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/shaders/*.glsl)
set(LOWBIT_SHADERS "")

# The module <name> from shaders/<source>.comp, with the preprocessor's definitions that follow.
function(lowbit_add_shader name source)
  list(TRANSFORM ARGN PREPEND -D OUTPUT_VARIABLE definitions)
  set(from ${PROJECT_SOURCE_DIR}/shaders/${source}.comp)
  set(spirv ${LOWBIT_SHADER_DIR}/${name}.spv)
  set(header ${LOWBIT_SHADER_DIR}/${name}.h)
  set(glslang ${LOWBIT_GLSLANG} --quiet -V --target-env vulkan1.2 -I${PROJECT_SOURCE_DIR}/shaders -I${PROJECT_SOURCE_DIR}/host ${definitions} ${from})
  add_custom_command(OUTPUT ${spirv} ${header}
    COMMAND ${glslang} -o ${spirv}
    COMMAND ${LOWBIT_SPIRV_VAL} --target-env vulkan1.2 ${spirv}
    COMMAND ${CMAKE_COMMAND} -DFROM=${spirv} -DNAME=${name} -DTO=${header} -P ${PROJECT_SOURCE_DIR}/cmake/embed_words.cmake
    DEPENDS ${from} ${PROJECT_SOURCE_DIR}/cmake/embed_words.cmake ${LOWBIT_SHADER_HEADERS} ${PROJECT_SOURCE_DIR}/host/numbers.h
    COMMENT "Compiling shader ${name}" VERBATIM)
  set(LOWBIT_SHADERS ${LOWBIT_SHADERS} ${header} PARENT_SCOPE)
endfunction()

# <source>_float, in f32, and <source>_integer, without a float type: shaders/float32.glsl.
macro(lowbit_add_float_shader source)
  lowbit_add_shader(${source}_float ${source})
  lowbit_add_shader(${source}_integer ${source} LOWBIT_INTEGER_ONLY)
endmacro()

# Either of them with products of codes four at a time and one by one, as <source>_dot_float, ..., <source>_plain_integer:
# shaders/products.glsl. OpSDot is a capability that the whole module asks for.
macro(lowbit_add_products_shader source)
  lowbit_add_shader(${source}_dot_float ${source} LOWBIT_DOT)
  lowbit_add_shader(${source}_dot_integer ${source} LOWBIT_DOT LOWBIT_INTEGER_ONLY)
  lowbit_add_shader(${source}_plain_float ${source})
  lowbit_add_shader(${source}_plain_integer ${source} LOWBIT_INTEGER_ONLY)
endmacro()
