// A tool round with go-openai: round URL, once with its plain configuration and once with that for Azure.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	openai "github.com/sashabaranov/go-openai"
)

func must(holds bool, what string) {
	if !holds {
		fmt.Println("  not so:", what)
		os.Exit(1)
	}
	fmt.Println("  ok ", what)
}

func check(err error, what string) {
	if err != nil {
		fmt.Println("  failed:", what, err)
		os.Exit(1)
	}
}

func main() {
	url := os.Args[1]
	plain := openai.DefaultConfig("k")
	plain.BaseURL = url + "/v1"
	plain.AssistantVersion = "v2"
	round("DefaultConfig", plain)
	azure := openai.DefaultAzureConfig("k", url)
	azure.APIVersion = "2024-05-01-preview"
	azure.AssistantVersion = "v2"
	round("DefaultAzureConfig", azure)
}

func round(name string, config openai.ClientConfig) {
	fmt.Println(name)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client := openai.NewClientWithConfig(config)

	title := "go " + name
	assistant, err := client.CreateAssistant(ctx, openai.AssistantRequest{Model: "m", Name: &title, Tools: []openai.AssistantTool{{
		Type:     openai.AssistantToolTypeFunction,
		Function: &openai.FunctionDefinition{Name: "weather", Parameters: map[string]any{"type": "object", "properties": map[string]any{}}},
	}}})
	check(err, "CreateAssistant")
	must(assistant.Tools[0].Function.Name == "weather", "CreateAssistant")
	limit, order := 5, "desc"
	assistants, err := client.ListAssistants(ctx, &limit, &order, nil, nil)
	check(err, "ListAssistants")
	must(len(assistants.Assistants) > 0, "ListAssistants")

	thread, err := client.CreateThread(ctx, openai.ThreadRequest{Messages: []openai.ThreadMessage{{Role: "user", Content: "Weather in Oslo?"}}})
	check(err, "CreateThread")
	_, err = client.CreateMessage(ctx, thread.ID, openai.MessageRequest{Role: "user", Content: "Now, please."})
	check(err, "CreateMessage")
	must(thread.ID != "", "CreateThread and CreateMessage")

	run, err := client.CreateRun(ctx, thread.ID, openai.RunRequest{AssistantID: assistant.ID})
	check(err, "CreateRun")
	wait := func(until openai.RunStatus) {
		for run.Status != until {
			time.Sleep(50 * time.Millisecond)
			run, err = client.RetrieveRun(ctx, thread.ID, run.ID)
			check(err, "RetrieveRun")
		}
	}
	wait(openai.RunStatusRequiresAction)
	calls := run.RequiredAction.SubmitToolOutputs.ToolCalls
	must(len(calls) == 1 && calls[0].Function.Name == "weather", "CreateRun, polled to requires_action")
	run, err = client.SubmitToolOutputs(ctx, thread.ID, run.ID, openai.SubmitToolOutputsRequest{
		ToolOutputs: []openai.ToolOutput{{ToolCallID: calls[0].ID, Output: "sunny"}},
	})
	check(err, "SubmitToolOutputs")
	wait(openai.RunStatusCompleted)
	must(run.Usage.TotalTokens > 0, "SubmitToolOutputs, polled to completed")

	messages, err := client.ListMessage(ctx, thread.ID, &limit, &order, nil, nil, nil)
	check(err, "ListMessage")
	must(messages.Messages[0].Content[0].Text.Value == "It is sunny.", "ListMessage")
	steps, err := client.ListRunSteps(ctx, thread.ID, run.ID, openai.Pagination{Limit: &limit, Order: &order})
	check(err, "ListRunSteps")
	must(len(steps.RunSteps) == 2 && steps.RunSteps[1].Type == openai.RunStepTypeToolCalls, "ListRunSteps")

	chat, err := client.CreateChatCompletion(ctx, chatRequest())
	check(err, "CreateChatCompletion")
	must(chat.Choices[0].Message.Content == "Hello.", "CreateChatCompletion")
	stream, err := client.CreateChatCompletionStream(ctx, chatRequest())
	check(err, "CreateChatCompletionStream")
	said := ""
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		check(err, "Recv")
		if len(part.Choices) > 0 {
			said += part.Choices[0].Delta.Content
		}
	}
	must(said == "Hello.", "CreateChatCompletionStream")
	deleted, err := client.DeleteThread(ctx, thread.ID)
	check(err, "DeleteThread")
	must(deleted.Deleted, "DeleteThread")
}

func chatRequest() openai.ChatCompletionRequest {
	return openai.ChatCompletionRequest{Model: "m", Messages: []openai.ChatCompletionMessage{{Role: "user", Content: "Hi"}}}
}
