# bash completion for mcptally(1). What can be typed comes from the program's own
# help, so that this file has no list that could grow old.

_mcptally_commands()
{
    mcptally --help 2>/dev/null | sed -n 's/^  \([a-z]\{1,\}\) .*/\1/p'
}

_mcptally_options()
{
    mcptally "$1" --help 2>/dev/null | sed -n 's/^  .\{4\}\(--[a-z-]*\).*/\1/p'
}

# The words that an option of a command takes.
_mcptally_values()
{
    case "$1 $2" in
        *" --severity") echo "trace debug info warn error fatal" ;;
        *" --sort") echo "rate calls errors p50 p95 p99 in-flight name" ;;
        *" --kind") echo "counter gauge histogram event span mixed" ;;
        *" --join") echo "last sum min max" ;;
    esac
}

# The words that an operand may be: command, first operand, number of the word.
_mcptally_operands()
{
    case "$1 $2 $3" in
        emit*" 2") echo "counter gauge histogram summary event log health span -" ;;
        "emit log 3") echo "trace debug info warn error fatal" ;;
        "sampling"*" 2") echo "show set reset" ;;
        "sampling set 3" | "sampling reset 3") echo "critical normal debug" ;;
        "domain"*" 2") echo "list show reset drain" ;;
        "emit health 4") echo "healthy degraded unhealthy unknown" ;;
        maintenance*" 2") echo "daily weekly monthly" ;;
        help*" 2") _mcptally_commands ;;
    esac
}

_mcptally()
{
    local word=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]} values="" files=""
    values=$(_mcptally_values "$command" "$last")
    if [ "$COMP_CWORD" -eq 1 ]; then
        values="$(_mcptally_commands) help --help --version"
    elif [ "$last" = --runtime-dir ] || [ "$last" = --state-dir ]; then
        files=-d
    elif [ "$last" = --socket ] || [ "$last" = --record ]; then
        files=-f
    elif [ -z "$values" ] && [[ $word == -?* ]]; then
        values=$(_mcptally_options "$command")
    elif [ -z "$values" ]; then
        values=$(_mcptally_operands "$command" "${COMP_WORDS[2]}" "$COMP_CWORD")
        case $command in run | replay | compare) files=-f ;; esac
    fi
    mapfile -t COMPREPLY < <(compgen ${files:+"$files"} -W "$values" -- "$word")
}

complete -F _mcptally mcptally
