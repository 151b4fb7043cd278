import requests
url = "{{ 获取api接口信息获取的api地址 }}"
payload="{\n \"query\": \"您好\"\n}"
headers = {
'content-type': 'application/json',
'authorization': 'Bearer {{ 获取鉴权信息获取的apikey }}',
}
response = requests.request("POST", url, headers=headers, data=payload)
print(response.text)
