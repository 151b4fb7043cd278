BASE_URL="https://prod.dvcbot.net/api/assts/v1"
# create thread
AUTH_HEADER="Authorization: Bearer ${API_KEY}"
THREAD_URL="${BASE_URL}/threads"
THREAD_ID=`curl -s --location "${THREAD_URL}" \
--header 'OpenAI-Beta: assistants=v2' \
--header 'Content-Type: application/json' \
--header "${AUTH_HEADER}" \
--data '{}' | jq .id | tr -d '"'`
# add msg to thread
CREATE_MSG_DATA=$(< <(cat <<EOF
{
  "role": "user",
  "content": [
    {
        "type": "image_url",
        "image_url": {
            "url": "$IMAGE_URL"
        }
    }
  ]
}
EOF
))

MSG_URL="${BASE_URL}/threads/${THREAD_ID}/messages"
curl -s --location "${MSG_URL}" \
--header 'OpenAI-Beta: assistants=v2' \
--header 'Content-Type: application/json' \
--header "${AUTH_HEADER}" \
--data "${CREATE_MSG_DATA}" > /dev/null
# run the assistant within thread
CREATE_RUN_DATA=$(< <(cat <<EOF
{
  "assistant_id": "$ASSISTANT_ID",
  "additional_instructions": "The current time is: `date '+%Y-%m-%d %H:%M:%S'`"
}
EOF
))
RUN_URL="${BASE_URL}/threads/${THREAD_ID}/runs"
RUN_ID=`curl -s --location "${RUN_URL}" \
--header 'OpenAI-Beta: assistants=v2' \
--header 'Content-Type: application/json' \
--header "${AUTH_HEADER}" \
--data "${CREATE_RUN_DATA}" | jq .id | tr -d '"'`
# get run result
RUN_STAUS=""
while [[ $RUN_STAUS != "completed" ]]
do
    RESP=`curl -s --location --request GET "${RUN_URL}/$RUN_ID" \
--header 'OpenAI-Beta: assistants=v2' \
--header 'Content-Type: application/json' \
--header "${AUTH_HEADER}"`
    RUN_STAUS=`echo $RESP| jq .status | tr -d '"'`;
    REQUIRED_ACTION=`echo $RESP| jq .required_action`
    while [[ $RUN_STAUS = "requires_action" ]] && [[ ! -z "$REQUIRED_ACTION" ]]
    do
        TOOL_OUTPUTS='[]'
        LEN=$( echo "$REQUIRED_ACTION" | jq '.submit_tool_outputs.tool_calls | length' )
        for (( i=0; i<$LEN; i++ ))
        do
            FUNC_NAME=`echo "$REQUIRED_ACTION" | jq ".submit_tool_outputs.tool_calls[$i].function.name" | tr -d '"'`
            ARGS=`echo "$REQUIRED_ACTION" | jq ".submit_tool_outputs.tool_calls[$i].function.arguments"`
            ARGS=${ARGS//\\\"/\"}
            ARGS=${ARGS#"\""}
            ARGS=${ARGS%"\""}
            PLUGINAPI_URL="${BASE_URL}/pluginapi?tid=${THREAD_ID}&aid=${ASSISTANT_ID}&pid=${FUNC_NAME}"
            OUTPUT=`curl -s --location "${PLUGINAPI_URL}" \
--header 'OpenAI-Beta: assistants=v2' \
--header 'Content-Type: application/json' \
--header "${AUTH_HEADER}" \
--data "${ARGS}"`
            OUTPUT="${OUTPUT:0:8000}"
            OUTPUT=${OUTPUT//\"/\\\"}
            CALL_ID=`echo "$REQUIRED_ACTION" | jq ".submit_tool_outputs.tool_calls[$i].id" | tr -d '"'`
            TOOL_OUTPUT=$(< <(cat <<EOF
{
  "tool_call_id": "$CALL_ID",
  "output": "$OUTPUT"
}
EOF
))
            TOOL_OUTPUTS=$(jq --argjson obj "$TOOL_OUTPUT" '. += [$obj]' <<< "$TOOL_OUTPUTS")
        done
        SUBMIT_TOOL_OUTPUT_RUN_RUL="${BASE_URL}/threads/${THREAD_ID}/runs/${RUN_ID}/submit_tool_outputs"
        TOOL_OUTPUTS_DATA=$(< <(cat <<EOF
{
  "tool_outputs": $TOOL_OUTPUTS
}
EOF
))
        curl -s --location "${SUBMIT_TOOL_OUTPUT_RUN_RUL}" \
--header 'OpenAI-Beta: assistants=v2' \
--header 'Content-Type: application/json' \
--header "${AUTH_HEADER}" \
--data "${TOOL_OUTPUTS_DATA}" > /dev/null
        RESP=`curl -s --location --request GET "${RUN_URL}/$RUN_ID" \
--header 'OpenAI-Beta: assistants=v2' \
--header 'Content-Type: application/json' \
--header "${AUTH_HEADER}"`
        RUN_STAUS=`echo $RESP| jq .status | tr -d '"'`;
        sleep 1
    done
    sleep 1
done
#list msg
RESPONSE_MSG=`curl -s --location --request GET "${MSG_URL}" \
--header 'OpenAI-Beta: assistants=v2' \
--header 'Content-Type: application/json' \
--header "${AUTH_HEADER}" | jq .data[0].content[].text.value`

echo ""
echo "davinci bot: "$RESPONSE_MSG
