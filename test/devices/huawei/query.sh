curl --location --request POST '{{ 第二步获得的api地址 }}' \
--header 'authorization: Bearer {{ 第三步获得的apikey }}' \
--header 'content-type: application/json' \
--data-raw '{
"query": "{{ 输入问题 }}",
"memory": []
}'
